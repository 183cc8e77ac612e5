"""The tidy tables of an experiment: a row per episode, point of a learning curve, interval of
training, trained agent, and run."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cdred.envs.tasks import find
from cdred.report.catalogue import TABLES

Row = dict[str, Any]

GOAL = 0.9  # of what the expert reaches: what counts as having imitated it
HALF = 0.5


@dataclass(frozen=True)
class Data:
    """The tables. Rows are in the experiment's order: task, then expert, then runs as configured.

    All but `films` are written as CSV under their names.
    """

    episodes: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)
    summary: list[Row] = field(default_factory=list)  # a row per task, run and seed
    demos: list[Row] = field(default_factory=list)
    diagnostics: list[Row] = field(default_factory=list)  # the rows of every metrics.csv
    runs: list[Row] = field(default_factory=list)  # a row per task and run, over its seeds
    aggregates: list[Row] = field(default_factory=list)  # a row per run, over tasks and seeds
    improvements: list[Row] = field(default_factory=list)  # a row per pair of runs
    profiles: list[Row] = field(default_factory=list)  # a row per run and share of the expert
    efficiency: list[Row] = field(default_factory=list)  # a row per run and step, over all of it
    published: list[Row] = field(default_factory=list)  # a row per task and run, and the paper's
    lineage: list[Row] = field(default_factory=list)
    films: list[Row] = field(default_factory=list)

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(row["task"] for row in self.summary))

    def only(self, task: str) -> Data:
        """The rows of one task."""
        rows = {
            f.name: [r for r in getattr(self, f.name) if r.get("task") == task]
            for f in fields(self)
        }
        return Data(**rows)


def expert_levels(data: Data) -> dict[tuple[str, str], float]:
    """The scores that agents are compared with, by task and expert.

    Who imitates what others recorded is held against the recordings, as their expert is not here:
    then by the name of the demonstrations.
    """
    level = {(r["task"], r["run"]): score(r) for r in data.summary if is_expert(r)}
    return level | {(r["task"], r["demos"]): score(r) for r in data.demos if not r["expert"]}


def is_expert(row: Row) -> bool:
    return not row["demos"]


def score(row: Row) -> float:
    """The row's score, as its task is measured: the share of episodes that succeed, or the mean
    return. An episode that is not known to have succeeded has not."""
    column = "success" if find(row["task"]).measure == "success" else "return_mean"
    return float(row.get(column) or 0.0)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(data: Data, out: Path) -> None:
    """Write a CSV file per table."""
    for name in TABLES:
        write_csv(out / f"{name}.csv", getattr(data, name))


def write_csv(file: Path, rows: list[Row]) -> None:
    """Write rows as CSV; a column that only some rows have is empty in the others."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
