"""Reading an experiment's artifacts into the tables of its report."""

from __future__ import annotations

import math
import statistics
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from cdred.demos import files, hdf5
from cdred.errors import CdredError
from cdred.learning import registry, results
from cdred.report import aggregates, published, run_rows
from cdred.report.rows import (
    GOAL,
    HALF,
    Data,
    Row,
    expert_levels,
    read_demonstrations,
    read_numbers,
    score,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cdred.report.experiment import Artifact, Entry, Experiment

SHOWN = 50  # demonstrated episodes of which a figure shows the rewards
# The columns of numbers that these tables always have.
CURVE = ("step", "update", "return_mean", "return_min", "return_max")
METRICS = ("step", "update", "grad_norm", "grad_norm_max")


def collect(experiment: Experiment) -> Data:
    """Read the raw results of every artifact of the experiment."""
    data = Data()
    tasks = experiment.tasks
    # Stable: experts first.
    for artifact in sorted(experiment.artifacts, key=lambda one: tasks.index(one.task)):
        _add(data, artifact, experiment.entries)
    _check_columns(data)
    _compare_with_experts(data)
    data.runs.extend(run_rows.collect(experiment, data))
    data.published.extend(published.compare(experiment, data))
    aggregates.fill(data)
    return data


def _add(data: Data, artifact: Artifact, entries: dict[str, Entry]) -> None:
    """Add the rows of one artifact, and its lineage."""
    identity = {"task": artifact.task, "run": artifact.entry, "seed": artifact.seed}
    if artifact.stage == "evaluate":
        entry = entries[artifact.entry]
        _add_evaluation(data, artifact, identity, entry.method if entry.trained else None)
    elif artifact.stage in ("expert", "imitate"):
        curve = read_numbers(artifact.folder / "curve.csv", CURVE)
        metrics = read_numbers(artifact.folder / "metrics.csv", METRICS, ascending="update")
        data.curves.extend(identity | row | identity for row in curve)
        data.diagnostics.extend(identity | row | identity for row in metrics)
    elif artifact.stage == "demos":
        _add_demos(data, artifact)
    data.lineage.append(
        {
            "task": artifact.task, "artifact": artifact.path, "digest": artifact.digest,
            "command": artifact.command,
        }
    )  # fmt: skip


def _add_demos(data: Data, artifact: Artifact) -> None:
    episodes = read_demonstrations(artifact.folder)
    identity = {"task": artifact.task, "demos": artifact.entry}
    for k, e in enumerate(episodes):
        data.demo_episodes.append(
            identity
            | {"episode": k, "seed": e.seed, "return": e.episode_return}
            | {"length": e.length, "success": e.success}
        )
    data.rewards.extend(
        identity | {"episode": k, "rewards": rewards}
        for k, rewards in enumerate(_rewards(artifact.folder, SHOWN))
    )
    returns = [e.episode_return for e in episodes if e.episode_return is not None]
    known = len(returns) == len(episodes)
    successes = [e.success for e in episodes if e.success is not None]
    data.demos.append(
        {
            "task": artifact.task, "demos": artifact.entry, "expert": artifact.ancestor("expert"),
            "episodes": len(episodes), "return_mean": statistics.fmean(returns) if known else None,
            "return_min": min(returns) if known else None,
            "return_max": max(returns) if known else None,
            "success": statistics.fmean(successes) if successes else None,
        }
    )  # fmt: skip


def _rewards(folder: Path, episodes: int) -> list[list[float]]:
    """The rewards of each step of the first `episodes` of a demonstrations' artifact; none where
    they were not recorded. Raises CdredError when they cannot be read."""
    data = folder / "data" / "main_data.hdf5"
    if not data.is_file():
        return []
    with files.one_line(str(data), "a Minari dataset"), hdf5.opened(data) as stored:
        collected = []
        for k in range(min(episodes, len(stored))):
            rewards = hdf5.array(hdf5.group(stored, f"episode_{k}"), "rewards")
            if rewards is None:
                return []
            (steps,) = rewards.shape
            if steps > 10**6 or rewards.dtype.kind not in "fiu":
                raise ValueError("rewards: not a number for each step")
            collected.append([float(x) for x in np.asarray(rewards)])
    return collected if all(map(math.isfinite, chain(*collected))) else []


def _check_columns(data: Data) -> None:
    """Refuse metrics, with a CdredError, of seeds of a run that do not hold the same."""
    columns: dict[tuple[str, str], Row] = {}
    for row in data.diagnostics:
        first = columns.setdefault((row["task"], row["run"]), row)
        if row.keys() != first.keys():
            name = min(row.keys() ^ first.keys())
            raise CdredError(
                f"{row['run']} on {row['task']}: of seeds {first['seed']} and {row['seed']} one "
                f"alone has {name} in its metrics.csv; make both by the same code"
            )


def _compare_with_experts(data: Data) -> None:
    """Fill in each agent's share of its expert's score, and the steps at which it first reached
    half of it and the goal."""
    level = expert_levels(data)
    for row in data.summary:
        expert = level[row["task"], row["expert"] or row["demos"]]
        row["expert_score"] = expert
        compared = expert if expert is not None and expert > 0 else None
        row["expert_share"] = score(row) / compared if compared else None
        for name, share in (("half_step", HALF), ("goal_step", GOAL)):
            row[name] = _first_step(data.curves, row, share * compared) if compared else None


def _first_step(curves: list[Row], agent: Row, goal: float) -> int | None:
    """The first step at which a point of the agent's learning curve reaches `goal`."""
    identity = ("task", "run", "seed")
    for point in curves:  # in the order of steps
        if all(point[key] == agent[key] for key in identity) and score(point) >= goal:
            return int(point["step"])
    return None


def _add_evaluation(data: Data, artifact: Artifact, identity: Row, method: str | None) -> None:
    """Add the rows of an evaluation. `method`: its agent's, None if somebody else trained it."""
    file, evaluation = artifact.folder / results.FILE, results.read(artifact.folder)
    if evaluation.task != artifact.task:
        raise CdredError(f"{file}: task: {evaluation.task}, not {artifact.task}")
    actual = registry.of_saved(evaluation.method).name
    if method not in (actual, None):
        raise CdredError(f"{file}: method: {actual}, not {method}")
    returns, known = evaluation.returns, evaluation.successes
    once = evaluation.successes_once
    identity["method"] = actual
    for k, episode in enumerate(evaluation.episodes):
        # `seed` is the agent's in every table.
        own = {
            "length": episode.length, "return": episode.episode_return,
            "episode_seed": episode.seed, "success": episode.success_at_end,
            "success_once": episode.success_once,
        }  # fmt: skip
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
            "success_once": statistics.fmean(once) if once else None,
            "expert": artifact.ancestor("expert"),
            "demos": artifact.ancestor("demos"),
        }
    )
    for kind, name, shown in (
        ("median", results.VIDEO, returns[evaluation.filmed]),
        ("worst", results.WORST, min(returns)),
    ):
        film = artifact.folder / name
        if film.is_file():
            rank, last = 1 + sum(r > shown for r in returns), sum(r >= shown for r in returns)
            data.films.append(
                identity
                | {"film": kind, "return": shown, "rank": rank, "last": last, "of": len(returns)}
                | {"path": f"{artifact.path}/{name}", "file": film}
            )
