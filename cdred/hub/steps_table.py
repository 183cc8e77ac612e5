"""The steps of demonstrations as a Parquet table, which the Hub's viewer shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cdred.demos import dataset


def write(folder: Path, task: str, obs: str, out: Path) -> None:
    """Write a row per step of the demonstrations in `folder`: episode, step, observation before it,
    action, and reward where it is known. Pixels stay in the dataset."""
    import pyarrow
    import pyarrow.parquet

    tables = []
    for k, e in enumerate(dataset.read(folder, task, obs)):
        steps = len(e.action)
        columns: dict[str, Any] = {"episode": np.full(steps, k), "step": np.arange(steps)}
        if obs == "state":
            columns["observation"] = list(e.obs[:-1])
        columns["action"] = list(e.action)
        if np.isfinite(e.reward).all():
            columns["reward"] = e.reward
        tables.append(pyarrow.table(columns))
    pyarrow.parquet.write_table(pyarrow.concat_tables(tables, promote_options="default"), out)
