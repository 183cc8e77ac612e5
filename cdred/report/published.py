"""What was published, beside what was measured. `published.csv` holds all that is known of the
paper's numbers, each with its source; what is not there is not available, and never guessed."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.envs.tasks import SUITES, TASKS
from cdred.report.roles import is_expert, label

if TYPE_CHECKING:
    from cdred.plan import Plan
    from cdred.report.tables import Data, Row

UNKNOWN = "not available"
FILE = Path(__file__).with_name("published.csv")
EXPERT = "TD-MPC2, arXiv 2310.16828, results/ of its code"
Norms = tuple[str, float | None, float | None, str]  # a method's: its name, mean, maximum, source
NORM = "gradient norm "  # and `mean` or `max`


@cache
def rows() -> list[dict[str, str]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def compare(plan: Plan, data: Data) -> list[Row]:
    """A row per task and run: what its task measures, here and as published; then what the paper
    has on the task by methods that did not run. `published` is None where nothing is known."""
    return [row for task in data.tasks for row in _task(plan, data, task)]


def _task(plan: Plan, data: Data, task: str) -> list[Row]:
    measure = TASKS[task].measure
    found: list[Row] = []
    for run in data.runs:
        if run["task"] != task:
            continue
        value, source = TASKS[task].published, EXPERT
        if not is_expert(run):
            # The paper's numbers per task are those of agents that see states.
            states = plan.config.demos[run["demos"]].obs == "state"
            known = _known(task, measure, run["method"]) if states else None
            value, source = (float(known["value"]), known["source"]) if known else (None, "")
        ours = run["success"] if measure == "success" else run["return_mean"]
        found.append(
            {
                "task": task, "run": run["run"], "method": run["method"], "measure": measure,
                "measured": ours, "published": value, "source": source if value is not None else "",
            }
        )  # fmt: skip
    here = {row["method"] for row in found}
    for row in rows():
        if (row["task"], row["metric"]) == (task, measure) and row["method"] not in here:
            found.append(
                {
                    "task": task, "run": "", "method": row["method"], "measure": measure,
                    "measured": None, "published": float(row["value"]), "source": row["source"],
                }
            )  # fmt: skip
    return found


def in_text(data: Data) -> list[list[Any]]:
    """The rows of `compare` as they are shown: task, run, method, measure, measured, published,
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
    wanted = (task, metric, method)
    return next((r for r in rows() if (r["task"], r["metric"], r["method"]) == wanted), None)


def gradient_norms(task: str) -> list[Norms]:
    """Of the methods whose gradient norms are known on the task."""

    def value(method: str, which: str) -> float | None:
        row = _known(task, NORM + which, method)
        return float(row["value"]) if row else None

    known = [r for r in rows() if r["task"] == task and r["metric"].startswith(NORM)]
    sources = {row["method"]: row["source"] for row in known}
    return [
        (label(method), value(method, "mean"), value(method, "max"), source)
        for method, source in sources.items()
    ]


def in_words(suites: set[str]) -> list[str]:
    """What the paper says of several tasks of `suites` at once, as sentences."""
    return [
        f"Of {row['task']} of {SUITES[row['benchmark']]} together the paper gives {row['metric']} "
        f"{row['value'].replace('-', ' to ')} for {label(row['method'])} "
        f"({row['source']})."
        for row in rows()
        if row["task"] not in TASKS and row["benchmark"] in suites
    ]


def stable_methods() -> set[str]:
    """The methods of which gradient norms were published."""
    return {row["method"] for row in rows() if row["metric"].startswith(NORM)}


def stable_on() -> dict[str, list[Norms]]:
    """The tasks on which gradient norms were published, with `gradient_norms` of each."""
    tasks = dict.fromkeys(r["task"] for r in rows() if r["metric"].startswith(NORM))
    return {task: gradient_norms(task) for task in tasks}
