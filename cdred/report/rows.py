"""The tidy tables of an experiment: a row per episode, point of a learning curve, interval of
training, trained agent, and run."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from cdred import documents
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.report.catalogue import TABLES

Row = dict[str, Any]

GOAL = 0.9  # of what the expert reaches: what counts as having imitated it
HALF = 0.5
LARGEST = 2**30  # bytes of a table: 500,000 rows of metrics
COLUMN = re.compile(r"[A-Za-z_]\w*")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how text begins that a spreadsheet computes


@dataclass(frozen=True)
class Data:
    """The tables. Rows are in the experiment's order: task, then expert, then runs as configured.

    All but `films` and `rewards` are written as CSV under their names.
    """

    episodes: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)
    summary: list[Row] = field(default_factory=list)  # a row per task, run and seed
    demos: list[Row] = field(default_factory=list)
    demo_episodes: list[Row] = field(default_factory=list)
    diagnostics: list[Row] = field(default_factory=list)  # the rows of every metrics.csv
    runs: list[Row] = field(default_factory=list)  # a row per task and run, over its seeds
    aggregates: list[Row] = field(default_factory=list)  # a row per run, over tasks and seeds
    improvements: list[Row] = field(default_factory=list)  # a row per pair of runs
    profiles: list[Row] = field(default_factory=list)  # a row per run and share of the expert
    efficiency: list[Row] = field(default_factory=list)  # a row per run and step, over all of it
    published: list[Row] = field(default_factory=list)  # a row per task and run, and the paper's
    lineage: list[Row] = field(default_factory=list)
    films: list[Row] = field(default_factory=list)
    rewards: list[Row] = field(default_factory=list)  # of each demonstrated episode, over its steps

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


def expert_levels(data: Data) -> dict[tuple[str, str], float | None]:
    """The scores that agents are compared with, by task and expert; None where it is unknown.

    Who imitates what others recorded is held against the recordings, as their expert is not here:
    then by the name of the demonstrations.
    """
    level = {(r["task"], r["run"]): known_score(r) for r in data.summary if is_expert(r)}
    return level | {(r["task"], r["demos"]): known_score(r) for r in data.demos if not r["expert"]}


def is_expert(row: Row) -> bool:
    return not row["demos"]


def known_score(row: Row) -> float | None:
    """The row's score, as its task is measured: the share of episodes that succeed, or the mean
    return; None where it is unknown."""
    value = row.get("success" if find(row["task"]).measure == "success" else "return_mean")
    return None if value is None else float(value)


def score(row: Row) -> float:
    """As `known_score`. An episode that is not known to have succeeded has not."""
    return known_score(row) or 0.0


class Demonstration(NamedTuple):
    """An episode of demonstrations; None for what was not recorded. `success`: at its end."""

    episode_return: float | None
    success: bool | None
    seed: int | None = None
    length: int | None = None


def read_demonstrations(folder: Path) -> list[Demonstration]:
    """The list of an artifact's episodes. Raises CdredError when it is not as it must be."""
    file, outcomes = folder / "episodes.csv", {"True": True, "False": False, "": None}
    rows = read_csv(file)
    if not rows or "return" not in rows[0]:
        raise CdredError(f"{file}: lists no returns of episodes")
    episodes = []
    for k, row in enumerate(rows, 1):
        if (success := row.get("success_at_end", "")) not in outcomes:
            raise CdredError(f"{file}, row {k}: success_at_end: must be True, False or empty")
        unknown = row["return"] in ("", "nan")
        value = None if unknown else _number(row["return"], f"{file}, row {k}: return")
        seed, length = (_count(row.get(key), f"{file}, row {k}: {key}") for key in _COUNTS)
        episodes.append(Demonstration(value, outcomes[success], seed, length))
    return episodes


_COUNTS = ("seed", "length")


def _count(text: str | None, where: str) -> int | None:
    """A whole number of 0 or more, or None where there is none."""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text):
        raise CdredError(f"{where}: must be a whole number")
    return int(text)


def read_numbers(file: Path, columns: tuple[str, ...], ascending: str = "") -> list[Row]:
    """The rows of a table of finite numbers, `columns` among them, the first two of them whole, and
    one perhaps `ascending` from above 0; success alone may be empty, where it is unknown.

    Raises CdredError naming the row and column of the first number that is not.
    """
    rows: list[Row] = []
    for k, row in enumerate(read_csv(file), 1):
        if missing := [name for name in columns if name not in row]:
            raise CdredError(f"{file}: has no column {missing[0]}")
        numbers: Row = {
            name: None
            if name == "success" and not text
            else _number(text, f"{file}, row {k}: {name}")
            for name, text in row.items()
        }
        for name in columns[:2]:
            if not isinstance(numbers[name], int):
                raise CdredError(f"{file}, row {k}: {name}: must be a whole number")
        if ascending and numbers[ascending] <= (rows[-1][ascending] if rows else 0):
            raise CdredError(f"{file}, row {k}: {ascending}: not above that of the row before")
        rows.append(numbers)
    return rows


def _number(text: str, where: str) -> float:
    try:
        value = int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CdredError(f"{where}: must be a finite number")
    return value


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table. Raises CdredError unless it has one head of names, and as many cells in
    each row."""
    text = documents.read_text(path, LARGEST)
    try:
        head, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
    except csv.Error as exc:
        raise CdredError(f"{path}: not a table: {exc}") from None
    if len(set(head)) < len(head) or not all(COLUMN.fullmatch(name) for name in head):
        raise CdredError(f"{path}: not a table: its head is not one of names")
    for k, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise CdredError(f"{path}, row {k}: {len(row)} cells below {len(head)} names")
    return [dict(zip(head, row, strict=True)) for row in rows]


def write(data: Data, out: Path) -> None:
    """Write a CSV file per table."""
    for name in TABLES:
        write_table(out / f"{name}.csv", getattr(data, name))


def write_table(file: Path, rows: list[Row]) -> None:
    """Write rows as CSV; a column that only some rows have is empty in the others."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    """A value that a spreadsheet shows as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
