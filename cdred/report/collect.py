"""Reading an experiment's artifacts into the tables of its report."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from cdred.report import aggregates, published, run_rows
from cdred.report.rows import GOAL, HALF, Data, Row, expert_levels, read_csv, score

if TYPE_CHECKING:
    from cdred.report.experiment import Artifact, Experiment


def collect(experiment: Experiment) -> Data:
    """Read the raw results of every artifact of the experiment."""
    data = Data()
    tasks = experiment.tasks
    # Stable: experts first.
    for artifact in sorted(experiment.artifacts, key=lambda one: tasks.index(one.task)):
        _add(data, artifact)
    _compare_with_experts(data)
    data.runs.extend(run_rows.collect(experiment, data))
    data.published.extend(published.compare(experiment, data))
    aggregates.fill(data)
    return data


def _add(data: Data, artifact: Artifact) -> None:
    """Add the rows of one artifact, and its lineage."""
    identity = {"task": artifact.task, "run": artifact.entry, "seed": artifact.seed}
    if artifact.stage == "evaluate":
        _add_evaluation(data, artifact, identity)
    elif artifact.stage in ("expert", "imitate"):
        data.curves.extend(identity | row for row in read_csv(artifact.folder / "curve.csv"))
        data.diagnostics.extend(
            identity | _numbers(row) for row in read_csv(artifact.folder / "metrics.csv")
        )
    elif artifact.stage == "demos":
        _add_demos(data, artifact)
    data.lineage.append(
        {
            "task": artifact.task, "artifact": artifact.path, "digest": artifact.digest,
            "command": artifact.command,
        }
    )  # fmt: skip


def _add_demos(data: Data, artifact: Artifact) -> None:
    episodes = read_csv(artifact.folder / "episodes.csv")
    returns = [float(row["return"]) for row in episodes]
    known = [row["success"] == "True" for row in episodes if row.get("success")]
    data.demos.append(
        {
            "task": artifact.task, "demos": artifact.entry, "expert": artifact.ancestor("expert"),
            "episodes": len(returns), "return_mean": statistics.fmean(returns),
            "return_min": min(returns), "return_max": max(returns),
            "success": statistics.fmean(known) if known else None,
        }
    )  # fmt: skip


def _compare_with_experts(data: Data) -> None:
    """Fill in each agent's share of its expert's score, and the steps at which it first reached
    half of it and the goal."""
    level = expert_levels(data)
    for row in data.summary:
        expert = level[row["task"], row["expert"] or row["demos"]]
        row["expert_score"] = expert
        row["expert_share"] = score(row) / expert if expert > 0 else None
        for name, share in (("half_step", HALF), ("goal_step", GOAL)):
            row[name] = _first_step(data.curves, row, share * expert) if expert > 0 else None


def _first_step(curves: list[Row], agent: Row, goal: float) -> int | None:
    """The first step at which a point of the agent's learning curve reaches `goal`."""
    identity = ("task", "run", "seed")
    for point in curves:  # in the order of steps
        if all(point[key] == agent[key] for key in identity) and score(point) >= goal:
            return int(point["step"])
    return None


def _add_evaluation(data: Data, artifact: Artifact, identity: Row) -> None:
    evaluation = json.loads((artifact.folder / "evaluation.json").read_text(encoding="utf-8"))
    returns = [e["return"] for e in evaluation["episodes"]]
    known = [e["success"] for e in evaluation["episodes"] if e["success"] is not None]
    identity["method"] = evaluation["method"]
    for k, episode in enumerate(evaluation["episodes"]):
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
            "expert": artifact.ancestor("expert"),
            "demos": artifact.ancestor("demos"),
        }
    )
    film = artifact.folder / "video.mp4"
    if film.is_file():
        path = f"{artifact.path}/{film.name}"
        data.films.append(identity | {"return": returns[0], "path": path, "file": film})


def _numbers(row: dict[str, str]) -> Row:
    counts = {name: int(row[name]) for name in ("step", "update")}
    return counts | {name: float(value) for name, value in row.items() if name not in counts}
