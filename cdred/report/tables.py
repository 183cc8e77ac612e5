"""Tidy tables of an experiment: one row per episode, point of a curve, interval of training,
trained agent, and run."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.envs.tasks import TASKS
from cdred.report import across, published, runs
from cdred.report.contents import TABLES
from cdred.report.roles import is_expert

if TYPE_CHECKING:
    from cdred.plan import Job, Plan

Row = dict[str, Any]

GOAL = 0.9  # of what the expert reaches: what counts as having imitated it
HALF = 0.5


@dataclass(frozen=True)
class Data:
    """Rows are in the experiment's order: task, then expert, then runs as configured.

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
        """What is about one task."""
        rows = {
            f.name: [r for r in getattr(self, f.name) if r.get("task") == task]
            for f in fields(self)
        }
        return Data(**rows)


def collect(plan: Plan, report: Job) -> Data:
    """Read the raw results of every input of the report."""
    data = Data()
    tasks = plan.config.experiment.tasks
    jobs = sorted(report.inputs, key=lambda job: tasks.index(job.task))  # stable: experts first
    for job in jobs:
        directory = plan.root / job.path
        identity = {"task": job.task, "run": job.entry, "seed": job.seed}
        if job.stage == "evaluate":
            _add_evaluation(data, job, directory, identity)
        elif job.stage in ("expert", "imitate"):
            data.curves.extend(identity | row for row in read_csv(directory / "curve.csv"))
            data.diagnostics.extend(
                identity | _numbers(row) for row in read_csv(directory / "metrics.csv")
            )
        elif job.stage == "demos":
            episodes = read_csv(directory / "episodes.csv")
            returns = [float(row["return"]) for row in episodes]
            known = [row["success"] == "True" for row in episodes if row.get("success")]
            data.demos.append(
                {
                    "task": job.task, "demos": job.entry, "expert": _ancestor(job, "expert"),
                    "episodes": len(returns), "return_mean": statistics.fmean(returns),
                    "return_min": min(returns), "return_max": max(returns),
                    "success": statistics.fmean(known) if known else None,
                }
            )  # fmt: skip
        data.lineage.append(
            {
                "task": job.task, "artifact": job.path.as_posix(), "digest": job.digest,
                "command": _short(job.command),
            }
        )  # fmt: skip
    level = {(r["task"], r["run"]): score(r) for r in data.summary if is_expert(r)}
    # Who imitates what others recorded is held against the recordings: their expert is not here.
    level |= {(r["task"], r["demos"]): score(r) for r in data.demos if not r["expert"]}
    for row in data.summary:
        expert = level[row["task"], row["expert"] or row["demos"]]
        row["expert_score"] = expert
        row["expert_share"] = score(row) / expert if expert > 0 else None
        for name, share in (("half_step", HALF), ("goal_step", GOAL)):
            row[name] = _first_step(data.curves, row, share * expert) if expert > 0 else None
    data.runs.extend(runs.collect(plan, data, level))
    data.published.extend(published.compare(plan, data))
    across.fill(data)
    return data


def score(row: Row) -> float:
    """What the row's task measures: the share of episodes that succeed, or the mean return. What
    nobody knows to have succeeded has not."""
    column = "success" if TASKS[row["task"]].measure == "success" else "return_mean"
    return float(row.get(column) or 0.0)


def _first_step(curves: list[Row], agent: Row, goal: float) -> int | None:
    """The first step at which a point of the agent's learning curve reaches `goal`."""
    identity = ("task", "run", "seed")
    for point in curves:  # in the order of steps
        if all(point[key] == agent[key] for key in identity) and score(point) >= goal:
            return int(point["step"])
    return None


def _add_evaluation(data: Data, job: Job, directory: Path, identity: Row) -> None:
    found = json.loads((directory / "evaluation.json").read_text(encoding="utf-8"))
    returns = [e["return"] for e in found["episodes"]]
    known = [e["success"] for e in found["episodes"] if e["success"] is not None]
    identity |= {"method": found["method"], "stage": job.inputs[0].stage}
    for k, episode in enumerate(found["episodes"]):
        # `seed` is the agent's in every table.
        own = {"episode_seed" if key == "seed" else key: value for key, value in episode.items()}
        data.episodes.append(identity | {"episode": k} | own)
    data.summary.append(
        identity
        | {
            "episodes": len(returns),
            "return_mean": statistics.fmean(returns),
            "return_std": statistics.stdev(returns) if len(returns) > 1 else 0.0,
            "return_min": min(returns),
            "return_max": max(returns),
            "success": statistics.fmean(known) if known else None,
            "expert": _ancestor(job, "expert"),
            "demos": _ancestor(job, "demos"),
        }
    )
    film = directory / "video.mp4"
    if film.is_file():
        path = (job.path / film.name).as_posix()
        data.films.append(identity | {"return": returns[0], "path": path, "file": film})


def _numbers(row: dict[str, str]) -> Row:
    counts = {name: int(row[name]) for name in ("step", "update")}
    return counts | {name: float(value) for name, value in row.items() if name not in counts}


def _ancestor(job: Job, stage: str) -> str:
    while job.stage != stage and job.inputs:
        job = job.inputs[0]
    return job.entry if job.stage == stage else ""


def _short(command: str) -> str:
    return command.split(" --log ")[0]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(data: Data, out: Path) -> None:
    """A CSV file per table."""
    for name in TABLES:
        write_csv(out / f"{name}.csv", getattr(data, name))


def write_csv(file: Path, rows: list[Row]) -> None:
    """A column that only some rows have is empty in the others."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
