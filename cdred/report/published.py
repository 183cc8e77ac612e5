"""Published numbers, beside which the measured ones stand.

`published.csv` holds all that is known of the paper's numbers, each with its source; what is not
there is not available, and never guessed. `published_experts.csv` holds TD-MPC2's final scores.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred import methods, suites
from cdred.envs.tasks import find, lookup
from cdred.learning.display import display_of

if TYPE_CHECKING:
    from cdred.report.experiment import Experiment
    from cdred.report.rows import Data, Row

UNKNOWN = "not available"
FILE = Path(__file__).with_name("published.csv")
EXPERT_FILE = Path(__file__).with_name("published_experts.csv")
EXPERT = "TD-MPC2, arXiv 2310.16828, results/ of its code"
Norms = tuple[str, float | None, float | None, str]  # a method's: its name, mean, maximum, source
NORM = "gradient norm "  # and `mean` or `max`


@cache
def rows() -> list[dict[str, str]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _expert_scores() -> dict[str, float]:
    with EXPERT_FILE.open(newline="", encoding="utf-8") as file:
        return {row["task"]: float(row["score"]) for row in csv.DictReader(file)}


def methods_named() -> list[str]:
    """The methods of which numbers were published: every report names them."""
    return list(dict.fromkeys(row["method"] for row in rows()))


def expert_score(task: str) -> float | None:
    """TD-MPC2's final score (mean of three seeds, the last points of its published curves): the
    return of an episode, or the share that succeed, as the task is measured."""
    return _expert_scores().get(task)


def compare(experiment: Experiment, data: Data) -> list[Row]:
    """A row per task and run: its score, here and as published; then what the paper has on the task
    by methods that did not run. `published` is None where nothing is known."""
    return [row for task in data.tasks for row in _task(experiment, data, task)]


def _task(experiment: Experiment, data: Data, task: str) -> list[Row]:
    measure = find(task).measure
    compared: list[Row] = []
    for run in data.runs:
        if run["task"] != task:
            continue
        value, source = expert_score(task), EXPERT
        if run["demos"]:
            # The paper's numbers per task are those of agents that see states.
            states = experiment.entries[run["run"]].obs == "state"
            known = _known(task, measure, run["method"]) if states else None
            value, source = (float(known["value"]), known["source"]) if known else (None, "")
        ours = run["success"] if measure == "success" else run["return_mean"]
        compared.append(
            {
                "task": task, "run": run["run"], "method": run["method"], "measure": measure,
                "measured": ours, "published": value, "source": source if value is not None else "",
            }
        )  # fmt: skip
    here = {row["method"] for row in compared}
    for row in rows():
        if (row["task"], row["metric"]) == (task, measure) and row["method"] not in here:
            compared.append(
                {
                    "task": task, "run": "", "method": row["method"], "measure": measure,
                    "measured": None, "published": float(row["value"]), "source": row["source"],
                }
            )  # fmt: skip
    return compared


def label(method: str) -> str:
    """The name of a method in tables."""
    spec = methods.find(method)
    return "expert" if spec.uses_environment_reward else display_of(spec).label


def in_text(data: Data) -> list[list[Any]]:
    """The rows of `compare` as text: task, run, method, measure, measured, published,
    source."""

    def value(row: Row, name: str, missing: str) -> str:
        if row[name] is None:
            return missing
        success = row["measure"] == "success"
        return f"{100 * row[name]:.1f} %" if success else f"{row[name]:.1f}"

    return [
        [
            row["task"], row["run"] or "none", label(row["method"]),
            row["measure"], value(row, "measured", "not run" if not row["run"] else "n/a"),
            value(row, "published", UNKNOWN), row["source"] or UNKNOWN,
        ]
        for row in data.published
    ]  # fmt: skip


def _known(task: str, metric: str, method: str) -> dict[str, str] | None:
    identity = (task, metric, method)
    return next((r for r in rows() if (r["task"], r["metric"], r["method"]) == identity), None)


def gradient_norms(task: str) -> list[Norms]:
    """The norms of each method whose gradient norms are known on the task."""

    def value(method: str, which: str) -> float | None:
        row = _known(task, NORM + which, method)
        return float(row["value"]) if row else None

    known = [r for r in rows() if r["task"] == task and r["metric"].startswith(NORM)]
    sources = {row["method"]: row["source"] for row in known}
    return [
        (label(method), value(method, "mean"), value(method, "max"), source)
        for method, source in sources.items()
    ]


def sentences(among: set[str]) -> list[str]:
    """The paper's numbers over several tasks of the suites `among`, as sentences."""
    return [
        f"Of {row['task']} of {suites.suite(row['benchmark']).label} together the paper gives "
        f"{row['metric']} {row['value'].replace('-', ' to ')} for "
        f"{label(row['method'])} ({row['source']})."
        for row in rows()
        if lookup(row["task"]) is None and row["benchmark"] in among
    ]


def with_gradient_norms() -> dict[str, list[Norms]]:
    """The tasks on which gradient norms were published, with those of each."""
    tasks = dict.fromkeys(r["task"] for r in rows() if r["metric"].startswith(NORM))
    return {task: gradient_norms(task) for task in tasks}


def methods_with_gradient_norms() -> list[str]:
    """The methods whose gradient norms were published."""
    return list(dict.fromkeys(r["method"] for r in rows() if r["metric"].startswith(NORM)))
