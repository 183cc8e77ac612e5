"""The rows of the report's tables as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdred import methods
from cdred.envs.tasks import find
from cdred.report import aggregates, published
from cdred.report.rows import Data, Row

if TYPE_CHECKING:
    from cdred.report.experiment import Experiment

NEVER = "never"


def returns(data: Data, succeeds: bool) -> list[list[Any]]:
    """Each run's returns over all its seeds; its successes too where the suite knows them."""
    return [
        [
            r["task"], r["run"], r["method"], r["acts_by"], r["seeds"], r["episodes"],
            f"{r['return_mean']:.1f}", f"{r['interval_low']:.1f} to {r['interval_high']:.1f}",
            _range(r), percent(r["expert_share"]),
            *(
                [percent(r["success"]), _success_interval(r), percent(r["success_once"])]
                if succeeds
                else []
            ),
        ]
        for r in data.runs
    ]  # fmt: skip


def by_seed(experiment: Experiment, data: Data) -> list[list[Any]]:
    """Each agent's returns."""
    return [
        [
            r["task"], r["run"], r["method"], experiment.entries[r["run"]].acts_by, r["seed"],
            r["episodes"], f"{r['return_mean']:.1f}", _range(r), percent(r["expert_share"]),
        ]
        for r in data.summary
    ]  # fmt: skip


def over_tasks(data: Data) -> list[list[Any]]:
    """Each run's interquartile mean and mean over tasks and seeds."""
    return [
        [
            r["run"], r["tasks"], r["seeds"], f"{r['iqm']:.3f}",
            f"{r['iqm_low']:.3f} to {r['iqm_high']:.3f}", f"{r['mean']:.3f}",
        ]
        for r in data.aggregates
    ]  # fmt: skip


def improvements(data: Data) -> list[list[Any]]:
    """The probability that one run is better than another."""
    return [
        [r["run"], r["over"], f"{r['probability']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}"]
        for r in data.improvements
    ]


def demonstrations(data: Data) -> list[list[Any]]:
    """Each set of demonstrations with its returns."""
    return [
        [
            r["task"], r["demos"], r["expert"] or published.UNKNOWN, r["episodes"],
            _return(r["return_mean"]), _range(r),
        ]
        for r in data.demos
    ]  # fmt: skip


def costs(data: Data) -> list[list[Any]]:
    """The steps, updates and size of each run."""
    counts = "agent_steps", "environment_steps", "updates", "parameters"
    return [
        [
            r["task"], r["run"], *(f"{r[key]:,}" for key in counts),
            f"{r['checkpoint_bytes'] / 1e6:.2f} MB",
        ]
        for r in data.runs
    ]  # fmt: skip


def first_steps(data: Data) -> list[list[Any]]:
    """The steps at which each interacting agent first reached half of its expert's score, and the
    goal."""
    length = {(r["task"], r["run"]): r["agent_steps"] for r in data.runs}
    return [
        [
            r["task"], r["run"], r["seed"],
            *(_first(r, key) for key in ("half_step", "goal_step")),
            f"{length[r['task'], r['run']]:,}",
        ]
        for r in aggregates.imitating(data)
        if methods.find(r["method"]).interacts
    ]  # fmt: skip


def _first(row: Row, key: str) -> str:
    if row["expert_share"] is None:
        return "n/a"
    return f"{row[key]:,}" if row[key] else NEVER


def episodes(data: Data, task: str) -> dict[str, list[Any]]:
    """Evaluation episodes by agents: returns, with a mark where an episode fails."""
    agents = [(r["run"], r["seed"]) for r in data.summary if r["task"] == task]
    seeds = {run: sum(name == run for name, _ in agents) for run, _ in agents}
    head = [f"{run}, seed {seed}" if seeds[run] > 1 else run for run, seed in agents]
    cells: dict[int, dict[tuple[str, int], str]] = {}
    for row in data.episodes:
        if row["task"] == task:
            failed = " (fails)" if row["success"] is False else ""
            cell = f"{row['return']:.1f}{failed}"
            cells.setdefault(row["episode_seed"], {})[row["run"], row["seed"]] = cell
    rows = [
        [k, seed, *(by_agent.get(agent, "") for agent in agents)]
        for k, (seed, by_agent) in enumerate(cells.items())
    ]
    return {"head": ["episode", "its seed", *head], "rows": rows}


def demonstrated(data: Data) -> dict[tuple[str, str], list[list[Any]]]:
    """The episodes of each set of demonstrations."""
    tables: dict[tuple[str, str], list[list[Any]]] = {}
    succeed = any(row["success"] is not None for row in data.demo_episodes)
    outcome = {True: "yes", False: "no", None: "unknown"}
    for r in data.demo_episodes:
        seed, length = ("" if r[key] is None else r[key] for key in ("seed", "length"))
        success = [outcome[r["success"]]] if succeed else []
        row = [r["episode"], seed, _return(r["return"]), length, *success]
        tables.setdefault((r["task"], r["demos"]), []).append(row)
    return tables


def gradients(data: Data) -> list[list[Any]]:
    """Each run's gradient norms; below those of a task the published ones."""
    rows: list[list[Any]] = []
    measured = ["measured"] if norms_published(data) else []
    for task in data.tasks:
        for r in data.runs:
            if r["task"] == task:
                norms = [
                    _short(r[f"{name}_{of}"])
                    for name in ("grad_norm_all", "grad_norm")
                    for of in ("mean", "max")
                ]
                rows.append([task, r["run"], *norms, *measured])
        for name, mean, largest, source in published.gradient_norms(task):
            known = ("n/a" if x is None else f"{x:g}" for x in (mean, largest))
            rows.append([task, f"{name}, published", *known, "", "", source])
    return rows


def norms_published(data: Data) -> bool:
    """Tell whether gradient norms were published on one of its tasks."""
    return any(task in published.with_gradient_norms() for task in data.tasks)


def score(row: Row) -> str:
    """The row's score as text, with its name unless it is a return."""
    successes = find(row["task"]).measure == "success"
    return f"success {percent(row['success'])}" if successes else f"{row['return_mean']:.1f}"


def _return(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def _range(row: Row) -> str:
    if row["return_min"] is None:
        return "unknown"
    return f"{row['return_min']:.1f} to {row['return_max']:.1f}"


def _success_interval(row: Row) -> str:
    if row["success"] is None:
        return "n/a"
    return f"{percent(row['success_low'])} to {percent(row['success_high'])}"


def percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f} %"


def _short(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
