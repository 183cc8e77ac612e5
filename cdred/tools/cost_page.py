"""The cost of training and acting on the machines that did it: a page beside the report's log, not
in the report, whose tables are the same wherever it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cdred.tools import cost

if TYPE_CHECKING:
    from cdred.plan import Job, Plan
    from cdred.report.rows import Row


# Columns of cost.csv after the agent's identity: heading in cost.html, and how a value is shown.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "seconds": ("training", cost.clock),
    "attempts": ("attempts", str),
    "updates_per_second": ("updates/s", lambda x: f"{x:.1f}"),
    "peak_memory_mb": ("memory", lambda x: f"{x:,} MB"),
    "peak_gpu_memory_mb": ("GPU memory", lambda x: f"{x:,} MB"),
    "energy_joules": ("energy", cost.kilojoules),
    "ms_per_action": ("ms per action", lambda x: f"{x:.2f}"),
    "device": ("device", str),
}


def write(plan: Plan, job: Job) -> None:
    """Write cost.csv and cost.html beside the log of the report `job`. Raises OSError."""
    from cdred.report import page
    from cdred.report.rows import write_table

    folder = (plan.root / job.log).parent
    folder.mkdir(parents=True, exist_ok=True)
    table = rows(plan)
    write_table(folder / "cost.csv", table)
    columns = [name for name in COLUMNS if any(row[name] is not None for row in table)]
    variables = {
        "name": plan.config.experiment.name,
        "energy": "energy_joules" in columns,
        "head": ["task", "run", "seed", *(COLUMNS[name][0] for name in columns)],
        "rows": [
            [
                row["task"], row["run"], row["seed"],
                *("" if row[name] is None else COLUMNS[name][1](row[name]) for name in columns),
            ]
            for row in table
        ],
        "latency": "ms_per_action" in columns,
        "unknown": sum(row["seconds"] is None for row in table),
        "total": cost.clock(sum(row["seconds"] or 0 for row in table)),
    }  # fmt: skip
    page.write_cost(variables, folder / "cost.html")


def rows(plan: Plan) -> list[Row]:
    """A row per agent, experts included; None where the logs here record nothing."""
    evaluations = {job.inputs[0].path: job for job in plan.of("evaluate")}
    table = []
    for job in plan.jobs:
        if job.stage not in ("expert", "imitate"):
            continue
        identity = {"task": job.task, "run": job.entry, "seed": job.seed}
        training = cost.read(plan.root, job)
        values = cost.spent(training) if training else {}
        values["ms_per_action"] = _latency(cost.read(plan.root, evaluations[job.path]))
        table.append(identity | {name: values.get(name) for name in COLUMNS})
    return table


def _latency(events: list[Row]) -> float | None:
    """Milliseconds of the agent for one action, as the last evaluation measured it."""
    return next((e["ms_per_action"] for e in reversed(events) if "ms_per_action" in e), None)
