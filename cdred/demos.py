"""Demonstrations: an expert's episodes as a Minari dataset, and reading them back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cdred.envs.rollout import Episode
from cdred.errors import CdredError
from cdred.learning.acting import play
from cdred.learning.monitor import Monitor
from cdred.learning.training import write_csv

if TYPE_CHECKING:
    from cdred.learning.agent import Agent


def collect(
    agent: Agent, task: str, episodes: int, seed: int, monitor: Monitor | None = None
) -> list[Episode]:
    """`episodes` seeded episodes, the agent acting as it is evaluated."""
    return play(agent, task, episodes, seed, "demonstrations", monitor)


def write(
    directory: Path, episodes: list[Episode], dataset_id: str, provenance: dict[str, str]
) -> None:
    """Write episodes as a Minari dataset in `directory/data`, and a list of them in episodes.csv.

    Each episode's metadata holds its seed, return, success and `provenance`.
    """
    import gymnasium as gym
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    obs_dim, action_dim = episodes[0].obs.shape[1], episodes[0].action.shape[1]
    storage = MinariStorage.new(
        directory.resolve() / "data",  # Minari mistakes relative paths
        observation_space=gym.spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32),
        action_space=gym.spaces.Box(-1, 1, (action_dim,), np.float32),
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
    storage.update_metadata(
        {
            "dataset_id": dataset_id, "algorithm_name": "TD-MPC2 (cdred)",
            "minari_version": minari.__version__,
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
            np.asarray(data.observations, np.float32),
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
