"""The artifact of a training stage: its agent, learning curve and metrics."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred import documents
from cdred.errors import CdredError
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


def load(directory: Path, task: str) -> Agent | ScriptedExpert:
    """Load the agent or expert of a training stage's artifact, ready to act.

    Raises CdredError when it is not whole, or not for this task.
    """
    if (directory / scripted.FILE).exists():
        saved = documents.read(directory / scripted.FILE, scripted.Saved)
        _check_task(directory, saved.task, task)
        return ScriptedExpert(task)
    agent = Agent.from_pretrained(directory)
    _check_task(directory, agent.task, task)
    return agent


def _check_task(directory: Path, made_for: str, task: str) -> None:
    if made_for != task:
        raise CdredError(f"{directory}: an agent for {made_for}, not for {task}")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write plain tidy rows; an empty list leaves an empty file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
