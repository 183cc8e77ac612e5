"""The artifact of a training stage: its agent, learning curve and metrics."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.learning import scripted
from cdred.learning.agent import FOLDER, Agent
from cdred.learning.scripted import ScriptedExpert

if TYPE_CHECKING:
    from cdred.learning.trainer import History


def write(directory: Path, agent: Agent | ScriptedExpert, history: History | None = None) -> None:
    """Write the agent, its learning curve (curve.csv) and metrics over training (metrics.csv)."""
    if isinstance(agent, ScriptedExpert):
        agent.save(directory)
    else:
        agent.cpu().save(directory / FOLDER)
    write_csv(directory / "curve.csv", history.curve if history else [])
    write_csv(directory / "metrics.csv", history.metrics if history else [])


def load(directory: Path) -> Agent | ScriptedExpert:
    """Load the agent or expert of a training stage's artifact, ready to act."""
    if (directory / scripted.FILE).exists():
        return ScriptedExpert(json.loads((directory / scripted.FILE).read_text())["task"])
    return Agent.from_pretrained(directory)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write plain tidy rows; an empty list leaves an empty file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
