"""The rows of runs as a whole, over their seeds: returns, stability, cost."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cdred import methods
from cdred.envs.tasks import find
from cdred.learning.weights_file import kinds_in
from cdred.report.rows import Data, Row, expert_levels
from cdred.report.statistics import bootstrap_interval

if TYPE_CHECKING:
    from cdred.report.experiment import Artifact, Experiment


def collect(experiment: Experiment, data: Data) -> list[Row]:
    """A row per task and run, experts included."""
    expert_score = expert_levels(data)
    artifacts = {
        (one.task, one.entry, one.seed): one
        for one in experiment.artifacts
        if one.stage in ("expert", "imitate")
    }
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in data.summary:
        groups.setdefault((row["task"], row["run"]), []).append(row)
    rows = []
    for (task, run), agents in groups.items():
        first = agents[0]
        returns = [_of(data.episodes, task, run, agent["seed"], "return") for agent in agents]
        low, high = bootstrap_interval(returns)
        mean = statistics.fmean(agent["return_mean"] for agent in agents)
        level = expert_score[task, first["expert"] or first["demos"]] or 0.0  # 0: none, or unknown
        known = [agent["success"] for agent in agents if agent["success"] is not None]
        success = statistics.fmean(known) if known else None
        outcomes = [
            [
                float(won)
                for won in _of(data.episodes, task, run, agent["seed"], "success")
                if won is not None
            ]
            for agent in agents
            if agent["success"] is not None
        ]
        once = [agent["success_once"] for agent in agents if agent["success_once"] is not None]
        success_low, success_high = bootstrap_interval(outcomes) if outcomes else (None, None)
        reached = success if find(task).measure == "success" else mean
        rows.append(
            {
                "task": task, "run": run, "method": first["method"],
                "acts_by": experiment.entries[run].acts_by, "seeds": len(agents),
                "episodes": sum(agent["episodes"] for agent in agents),
                "return_mean": mean, "interval_low": low, "interval_high": high,
                "return_min": min(agent["return_min"] for agent in agents),
                "return_max": max(agent["return_max"] for agent in agents),
                "success": success, "success_low": success_low, "success_high": success_high,
                "success_once": statistics.fmean(once) if once else None,
                "expert": first["expert"], "demos": first["demos"],
                "demo_episodes": experiment.entries[run].demo_episodes or None,
                "alike": experiment.entries[run].alike,
                "expert_share": (reached or 0.0) / level if level > 0 else None,
            }
            | _gradients(data, task, run, [agent["seed"] for agent in agents])
            | _cost(experiment, data, first, artifacts[task, run, first["seed"]])
        )  # fmt: skip
    return rows


def _of(rows: list[Row], task: str, run: str, seed: int, column: str) -> list[Any]:
    identity = (task, run, seed)
    return [
        row[column]
        for row in rows
        if (row["task"], row["run"], row["seed"]) == identity and column in row
    ]


def _gradients(data: Data, task: str, run: str, seeds: list[int]) -> Row:
    """The gradient norm before clipping: its mean over all updates of all seeds, its maximum; of
    the world model's parameters, and of all."""
    return _norm(data, task, run, seeds, "grad_norm") | _norm(
        data, task, run, seeds, "grad_norm_all"
    )


def _norm(data: Data, task: str, run: str, seeds: list[int], name: str) -> Row:
    means, largest = [], []
    for seed in seeds:
        norms = _of(data.diagnostics, task, run, seed, name)
        updates = _of(data.diagnostics, task, run, seed, "update")
        if not norms:
            continue
        # A row is the mean of the updates since the row before; the last row has fewer.
        counts = [after - before for before, after in pairwise([0, *updates])]
        means.append(float(np.average(norms, weights=counts)))
        largest += _of(data.diagnostics, task, run, seed, f"{name}_max")
    return {
        f"{name}_mean": statistics.fmean(means) if means else None,
        f"{name}_max": max(largest, default=None),
    }


def _cost(experiment: Experiment, data: Data, agent: Row, artifact: Artifact) -> Row:
    """The cost of training one agent, in numbers that are the same on every machine."""
    task, run = agent["task"], agent["run"]
    entry = experiment.entries[run]
    updates = _of(data.curves, task, run, agent["seed"], "update")
    # Without interaction steps are updates; an expert that was not trained here has no curve.
    interacts = methods.find(agent["method"]).interacts
    steps = entry.steps if interacts and updates else 0
    model = artifact.folder / "pretrained_model" / "model.safetensors"
    there = model.exists()  # a scripted expert has none
    return {
        "agent_steps": steps,
        "environment_steps": steps * find(task).action_repeat,
        "updates": int(updates[-1]) if updates else 0,
        "parameters": sum(math.prod(kind.shape) for kind in kinds_in(model).values())
        if there
        else 0,
        "checkpoint_bytes": model.stat().st_size if there else 0,
    }
