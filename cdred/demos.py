"""Demonstrations: an expert's episodes as a Minari dataset, and reading them back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdred import manifest
from cdred.config import Demos
from cdred.envs import make_vec
from cdred.envs.rollout import Episode, replay
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.acting import play
from cdred.learning.monitor import Monitor
from cdred.learning.training import write_csv

if TYPE_CHECKING:
    from cdred.learning.agent import Agent
    from cdred.learning.scripted import ScriptedExpert

PURPOSE = "demonstrations"  # what the episodes' seeds are derived for
ROUNDS = 10  # how often an expert may try for as many episodes as are wanted


def collect(
    agent: Agent | ScriptedExpert, task: str, wanted: Demos, monitor: Monitor | None = None,
    parallel: bool = False,
) -> list[Episode]:  # fmt: skip
    """`wanted.episodes` seeded episodes, the agent acting as it is evaluated, seen in `wanted.obs`.

    Those that are not wanted are left out and more are played.
    Raises CdredError when too few of ROUNDS times as many would do.
    """
    kept: list[Episode] = []
    count, played = wanted.episodes, 0
    while len(kept) < count and played < ROUNDS * count:
        episodes = play(
            agent, task, count, wanted.seed, PURPOSE, _Round(monitor or Monitor(), played),
            parallel, first=played,
        )  # fmt: skip
        kept += [e for e in episodes if wanted.wants(e)]
        played += count
    if len(kept) < count:
        raise CdredError(
            f"{task}: only {len(kept)} of {played} episodes of the expert {wanted.expert!r} are "
            f"wanted ({_rule(wanted)}), {count} were asked for"
        )
    kept = kept[:count]
    if wanted.obs == agent.obs:
        return kept
    return observe(task, wanted.obs, kept, parallel)


def observe(task: str, obs: str, episodes: list[Episode], parallel: bool = False) -> list[Episode]:
    """The same episodes, from their seeds and actions, seen in another observation mode."""
    with contextlib.closing(make_vec(task, len(episodes), obs, parallel)) as envs:
        return replay(envs, episodes)


def _rule(wanted: Demos) -> str:
    rules = ["successful"] if wanted.only == "successful" else []
    if wanted.min_return is not None:
        rules.append(f"return of at least {wanted.min_return:g}")
    return ", ".join(rules) or "all"


class _Round(Monitor):
    """Keeps the state of the round under way; earlier rounds are played again, to the same end."""

    def __init__(self, monitor: Monitor, played: int) -> None:
        self.monitor, self.played = monitor, played
        self.progress = monitor.progress  # type: ignore[method-assign]

    def saved(self) -> dict[str, Any] | None:
        found = self.monitor.saved()
        return None if found is None or found["played"] != self.played else found

    def checkpoint(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        self.monitor.checkpoint(lambda: state() | {"played": self.played}, final)


def write(
    directory: Path, episodes: list[Episode], task: str, entry: str, provenance: dict[str, str]
) -> None:
    """Write episodes as a Minari dataset in `directory/data`, and a list of them in episodes.csv.

    Each episode's metadata holds its seed, return, success and `provenance`; the dataset's the
    environment and the versions of its packages.
    """
    import gymnasium as gym
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    first = episodes[0]
    pixels = first.obs.dtype == np.uint8
    low, high = (0, 255) if pixels else (-np.inf, np.inf)
    storage = MinariStorage.new(
        directory.resolve() / "data",  # Minari mistakes relative paths
        observation_space=gym.spaces.Box(low, high, first.obs.shape[1:], first.obs.dtype.type),
        action_space=gym.spaces.Box(-1, 1, first.action.shape[1:], np.float32),
        jpeg_encoding=False,
    )
    buffers, metadata = [], []
    for k, e in enumerate(episodes):
        last = np.arange(len(e.action)) == len(e.action) - 1
        buffers.append(
            EpisodeBuffer(
                id=k, seed=e.seed, observations=e.obs, actions=e.action,  # type: ignore[arg-type]
                rewards=e.reward, terminations=np.zeros_like(last), truncations=last,  # type: ignore[arg-type]
            )
        )  # fmt: skip
        known = {} if e.success is None else {"success": e.success}
        metadata.append({"return": e.episode_return, **known, **provenance})
    storage.update_episodes(buffers)
    storage.update_episode_metadata(metadata)
    spec = find(task)
    environment = {
        "task": task, "suite": spec.suite, "simulator": spec.simulator,
        "obs": "rgb" if pixels else "state", "action_repeat": spec.action_repeat,
        "episode_length": spec.episode_length,
        "packages": manifest.packages(),
    }  # fmt: skip
    storage.update_metadata(
        {
            "dataset_id": f"{task}/{entry}-v0", "algorithm_name": "cdred",
            "minari_version": minari.__version__, "environment": json.dumps(environment),
        }
    )  # fmt: skip
    write_csv(
        directory / "episodes.csv",
        [
            {
                "episode": k, "seed": e.seed, "return": e.episode_return, "success": e.success,
                "length": len(e.action),
            }
            for k, e in enumerate(episodes)
        ],
    )  # fmt: skip


def read(directory: Path, limit: int | None = None) -> list[Episode]:
    """The first `limit` episodes (all if None) of a Minari dataset in `directory/data`.

    Raises CdredError when there are fewer.
    """
    from minari import MinariDataset

    dataset = MinariDataset(directory.resolve() / "data")
    count = dataset.total_episodes if limit is None else limit
    if count > dataset.total_episodes:
        raise CdredError(
            f"{directory}: {count} episodes asked for, {dataset.total_episodes} are there"
        )
    indices = range(count)
    return [
        Episode(
            np.asarray(data.observations),
            np.asarray(data.actions, np.float32),
            np.asarray(data.rewards, np.float32),
            bool(extra["success"]) if "success" in extra else None,
            int(extra["seed"]),
        )
        for data, extra in zip(
            dataset.iterate_episodes(indices),
            dataset.storage.get_episode_metadata(indices),
            strict=True,
        )
    ]
