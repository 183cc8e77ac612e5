"""Statistics over tasks and seeds by rliable, of scores as shares of the expert's."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdred import methods
from cdred.report.rows import Data, Row, score
from cdred.report.statistics import (
    interquartile_mean,
    interquartile_means,
    performance_profile,
    probability_of_improvement,
)

LEVELS = 51  # of a performance profile


def fill(data: Data) -> None:
    """Fill in aggregates, improvements, performance profiles and sample efficiency; all of them
    stay empty where `obstacle` tells why."""
    if obstacle(data):
        return
    scores = _scores(data)
    tasks, seeds = len(data.tasks), len(next(iter(scores.values())))
    for run, table in scores.items():
        iqm, low, high = interquartile_mean(table)
        estimate = {"iqm": iqm, "iqm_low": low, "iqm_high": high, "mean": float(table.mean())}
        data.aggregates.append({"run": run, "tasks": tasks, "seeds": seeds} | estimate)
    for x, y in combinations(scores, 2):
        value, low, high = probability_of_improvement(scores[x], scores[y])
        estimate = {"probability": value, "low": low, "high": high}
        data.improvements.append({"run": x, "over": y} | estimate)
    _add_profiles(data, scores)
    for run in scores:
        _add_efficiency(data, run)


def obstacle(data: Data) -> str:
    """The reason why runs cannot be compared over tasks and seeds; empty if they can."""
    agents = imitating(data)
    if len({row["seed"] for row in agents}) < 2:
        return "it takes two seeds at least (experiment.seeds of params.yaml)"
    runs, seeds = ({row[key] for row in agents} for key in ("run", "seed"))
    if len(agents) < len(runs) * len(seeds) * len(data.tasks):
        return "not every run is there on every task with every seed"
    unknown = list(dict.fromkeys(r["task"] for r in agents if r["expert_score"] is None))
    if unknown:
        return f"the {whose(data)} score is unknown on {', '.join(unknown)}"
    without = list(dict.fromkeys(r["task"] for r in agents if r["expert_share"] is None))
    if without:
        return f"the {whose(data)} score is not above 0 on {', '.join(without)}"
    return ""


def imitating(data: Data) -> list[Row]:
    return [row for row in data.summary if row["demos"]]


def compared_with(data: Data) -> str:
    """The standard of imitating runs: the expert, or the demonstrations."""
    return " or ".join(standard for standard, _ in _standards(data))


def whose(data: Data) -> str:
    """As `compared_with`, in the possessive."""
    return " or ".join(possessive for _, possessive in _standards(data))


def standard(row: Row) -> tuple[str, str]:
    """That with which an imitating agent is compared, and its possessive: the demonstrations where
    they are of no known expert."""
    return ("expert", "expert's") if row["expert"] else ("demonstrations", "demonstrations'")


def _standards(data: Data) -> list[tuple[str, str]]:
    return list(dict.fromkeys(standard(row) for row in imitating(data)))


def _scores(data: Data) -> dict[str, NDArray[Any]]:
    """Scores (seeds, tasks) of each imitating run. An experiment has all runs on all tasks and
    seeds."""
    agents = imitating(data)
    share = {(r["run"], r["seed"], r["task"]): r["expert_share"] for r in agents}
    seeds = dict.fromkeys(row["seed"] for row in agents)
    return {
        run: np.array([[share[run, seed, task] for task in data.tasks] for seed in seeds], float)
        for run in dict.fromkeys(row["run"] for row in agents)
    }


def _add_profiles(data: Data, scores: dict[str, NDArray[Any]]) -> None:
    """Add profiles on levels from 0 to the expert's score, or as far as any score is."""
    everything = np.concatenate([table.ravel() for table in scores.values()])
    low = min(0.0, math.floor(10 * everything.min()) / 10)
    high = max(1.0, math.ceil(10 * everything.max()) / 10)
    levels = np.linspace(low, high, LEVELS)
    for run, table in scores.items():
        estimates = performance_profile(table, levels)
        for level, (value, below, above) in zip(levels, estimates, strict=True):
            row = {"run": run, "expert_share": round(float(level), 6)}
            data.profiles.append(row | {"above": value, "low": below, "high": above})


def _add_efficiency(data: Data, run: str) -> None:
    """Add the interquartile mean over agent steps, where every seed and task has a point."""
    agents = [row for row in imitating(data) if row["run"] == run]
    if not methods.find(agents[0]["method"]).interacts:  # its steps are updates
        return
    points: dict[tuple[int, str], dict[int, float]] = {}
    expert = {(row["seed"], row["task"]): row["expert_score"] for row in agents}
    for point in data.curves:
        identity = (point["seed"], point["task"])
        if point["run"] == run:
            share = score(point) / expert[identity]
            points.setdefault(identity, {})[int(point["step"])] = share
    steps = sorted(set.intersection(*(set(points.get(key, ())) for key in expert)))
    if not steps:
        return
    seeds = dict.fromkeys(row["seed"] for row in agents)
    curves = np.array(
        [[[points[seed, task][step] for step in steps] for task in data.tasks] for seed in seeds]
    )
    for step, (iqm, low, high) in zip(steps, interquartile_means(curves), strict=True):
        data.efficiency.append({"run": run, "step": step, "iqm": iqm, "low": low, "high": high})
