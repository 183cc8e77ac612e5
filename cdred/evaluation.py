"""Evaluation: seeded episodes of a saved agent, one result per episode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdred.envs.episodes import Episode
from cdred.envs.tasks import check_trusted
from cdred.errors import CdredError
from cdred.learning import results as results_file
from cdred.learning.monitor import Monitor
from cdred.learning.play import play
from cdred.learning.results import VIDEO, WORST

if TYPE_CHECKING:
    from cdred.learning.agent import Agent
    from cdred.learning.scripted import ScriptedExpert


def evaluate(
    agent: Agent | ScriptedExpert, task: str, episodes: int, seed: int,
    monitor: Monitor | None = None, parallel: bool = False,
) -> list[Episode]:  # fmt: skip
    """Play `episodes` episodes of the agent. The seeds are the same for every agent of a task."""
    return play(agent, task, episodes, seed, "evaluation", monitor, parallel)


def film_episode(agent: Agent | ScriptedExpert, seed: int = 0, path: str | Path = VIDEO) -> Episode:
    """Play one episode of the agent as it is evaluated, and film it to `path` (.mp4).

    Raises CdredError when its task cannot be played or rendered on this machine, or is one of
    somebody's own whose module was not imported yet.
    """
    check_trusted(agent.task)
    from cdred.envs.video import film

    (episode,) = play(agent, agent.task, 1, seed, "film")
    film(agent.task, (episode.seed, episode.action, Path(path)))
    return episode


def results(agent: Agent | ScriptedExpert, task: str, episodes: list[Episode]) -> dict[str, Any]:
    """The content of `evaluation.json`: raw results per episode, their mean, and the index of the
    episode that is filmed."""
    return {
        "task": task,
        "filmed": median([e.episode_return for e in episodes]),
        "method": agent.method,
        "return_mean": float(np.mean([e.episode_return for e in episodes])),
        "episodes": [
            {
                "return": e.episode_return, "success_at_end": e.success,
                "success_once": e.success_once, "length": len(e.action), "seed": e.seed,
            }
            for e in episodes
        ],
    }  # fmt: skip


def film_episodes(task: str, episodes: list[Episode], steps: int, directory: Path) -> None:
    """Film the first `steps` steps of the median episode, and of the worst if that is another.

    Raises CdredError as `film_episode`.
    """
    from cdred.envs.video import film

    returns = [e.episode_return for e in episodes]
    # Of one episode, the median is both.
    chosen = {returns.index(min(returns)): WORST} | {median(returns): VIDEO}
    takes = [
        (episodes[k].seed, episodes[k].action[:steps], directory / name)
        for k, name in chosen.items()
    ]
    try:
        film(task, *takes)
    except CdredError as exc:
        raise CdredError(f"{exc}; evaluation.video: 0 does without") from None


def median(returns: list[float]) -> int:
    """The index of the median return; of the two of an even number, the lower."""
    return sorted(range(len(returns)), key=returns.__getitem__)[(len(returns) - 1) // 2]


def write(directory: Path, content: dict[str, Any]) -> None:
    """Write `results`. Raises CdredError when a return among them is not a number."""
    results_file.check(content, results_file.FILE)
    text = json.dumps(content, indent=1, sort_keys=True)
    (directory / results_file.FILE).write_text(text + "\n", encoding="utf-8")
