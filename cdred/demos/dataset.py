"""Demonstrations as a Minari dataset: writing it, and reading it back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cdred import manifest
from cdred.envs.episodes import Episode
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.saving import write_csv


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
                id=k, seed=e.seed, observations=e.obs, actions=e.action,
                rewards=e.reward, terminations=np.zeros_like(last), truncations=last,
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
    """Read the first `limit` episodes (all if None) of a Minari dataset in `directory/data`.

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
