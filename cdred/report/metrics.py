"""The report's numbers as `metrics.json`: the columns of `dvc metrics show` and `dvc exp show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.report.catalogue import METRICS

if TYPE_CHECKING:
    from cdred.report.rows import Data

# By column of the table of runs.
NAMES = {"return_mean": "return", "success": "success", "expert_share": "share"}


def write(data: Data, out: Path) -> None:
    """Write mean return, success where it is known, and share of the expert's, by task and run."""
    metrics: dict[str, dict[str, dict[str, Any]]] = {}
    for row in data.runs:
        known = {name: row[key] for key, name in NAMES.items() if row[key] is not None}
        metrics.setdefault(row["task"], {})[row["run"]] = known
    text = json.dumps(metrics, indent=1)
    (out / METRICS).write_text(text + "\n", encoding="utf-8")
