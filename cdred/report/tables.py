"""Tidy tables of an experiment: one row per episode, per point of a curve, per trained agent."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdred.plan import Job, Plan

Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """Rows are in the experiment's order: task, then expert, then runs as configured."""

    episodes: list[Row]
    curves: list[Row]
    summary: list[Row]
    demos: list[Row]


def collect(plan: Plan, report: Job) -> Data:
    """Read the raw results of every input of the report."""
    episodes: list[Row] = []
    curves: list[Row] = []
    summary: list[Row] = []
    demos: list[Row] = []
    expert_return: dict[tuple[str, str], float] = {}
    tasks = plan.config.experiment.tasks
    jobs = sorted(report.inputs, key=lambda job: tasks.index(job.task))  # stable: experts first
    for job in jobs:
        directory = plan.root / job.path
        identity = {"task": job.task, "run": job.entry, "seed": job.seed}
        if job.stage == "evaluate":
            found = json.loads((directory / "evaluation.json").read_text(encoding="utf-8"))
            returns = [e["return"] for e in found["episodes"]]
            known = [e["success"] for e in found["episodes"] if e["success"] is not None]
            identity["method"] = found["method"]
            episodes += [identity | {"episode": k} | e for k, e in enumerate(found["episodes"])]
            mean = statistics.fmean(returns)
            if found["method"] == "expert":
                expert_return[job.task, job.entry] = mean
            summary.append(
                identity
                | {
                    "episodes": len(returns),
                    "return_mean": mean,
                    "return_std": statistics.stdev(returns) if len(returns) > 1 else 0.0,
                    "return_min": min(returns),
                    "return_max": max(returns),
                    "success": statistics.fmean(known) if known else None,
                    "expert": _expert_of(job),
                    "demos": _demos_of(job),
                }
            )
        elif job.stage in ("expert", "imitate"):
            curves += [identity | row for row in read_csv(directory / "curve.csv")]
        elif job.stage == "demos":
            returns = [float(row["return"]) for row in read_csv(directory / "episodes.csv")]
            demos.append(
                {
                    "task": job.task, "demos": job.entry, "expert": job.inputs[0].entry,
                    "episodes": len(returns), "return_mean": statistics.fmean(returns),
                    "return_min": min(returns), "return_max": max(returns),
                }
            )  # fmt: skip
    for row in summary:
        level = expert_return[row["task"], row["expert"]]
        row["expert_share"] = row["return_mean"] / level if level > 0 else None
    return Data(episodes, curves, summary, demos)


def _ancestor(job: Job, stage: str) -> str:
    while job.stage != stage and job.inputs:
        job = job.inputs[0]
    return job.entry if job.stage == stage else ""


def _expert_of(job: Job) -> str:
    return _ancestor(job, "expert")


def _demos_of(job: Job) -> str:
    return _ancestor(job, "demos")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(data: Data, out: Path) -> None:
    for name in ("episodes", "curves", "summary", "demos"):
        rows = getattr(data, name)
        with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
