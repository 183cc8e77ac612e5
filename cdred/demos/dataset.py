"""Demonstrations as a Minari dataset: writing it, and reading it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdred import manifest
from cdred.demos import files, hdf5
from cdred.demos.recorded import Expected, Recorded
from cdred.envs import former
from cdred.envs.episodes import Episode
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.saving import write_csv

if TYPE_CHECKING:
    import h5py


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
        outcome = {"success_at_end": e.success, "success_once": e.success_once}
        known = {name: value for name, value in outcome.items() if value is not None}
        metadata.append({"return": e.episode_return, **known, **provenance})
    storage.update_episodes(buffers)
    storage.update_episode_metadata(metadata)
    spec = find(task)
    environment = {
        "task": task, "suite": spec.suite, "simulator": spec.simulator,
        "obs": "rgb" if pixels else "state", "action_repeat": spec.action_repeat,
        "episode_length": spec.episode_length,
        "packages": manifest.packages(), "format": former.FORMAT,
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
                "episode": k, "seed": e.seed, "return": e.episode_return,
                "success_at_end": e.success, "success_once": e.success_once,
                "length": len(e.action),
            }
            for k, e in enumerate(episodes)
        ],
    )  # fmt: skip


def read(
    directory: Path, task: str, obs: str = "state", limit: int | None = None, horizon: int = 1
) -> list[Episode]:
    """Read the first `limit` episodes (all if None) of a Minari dataset in `directory/data`, as a
    learner of the task sees them, by sub-sequences of `horizon` steps.

    Raises CdredError when there are fewer, or one does not fit.
    """
    where, expected = str(directory), Expected(task, obs, horizon=horizon)
    with files.one_line(where, "a Minari dataset"):
        recorded = enumerate(islice(recordings(where, directory / "data", task), limit))
        episodes = [one.episode(f"{where}, episode {k}", k, expected) for k, one in recorded]
    if len(episodes) < (limit or 1):
        raise CdredError(f"{directory}: {limit or 1} episodes asked for, {len(episodes)} are there")
    return episodes


def recordings(where: str, data: Path, task: str) -> Iterator[Recorded]:
    """Yield the episodes of the Minari dataset in the directory `data`.

    Minari itself would build the environment that a dataset names, whatever code that is. Raises
    CdredError when the dataset is of another task; ValueError, among others, when it cannot be
    read.
    """
    metadata = files.read_json(data / "metadata.json")
    if (layout := metadata.get("data_format")) != "hdf5":
        raise ValueError(f"its data_format is {files.brief(layout)}; hdf5 is read")
    environment = json.loads(metadata.get("environment", "{}"))
    if (made_for := environment.get("task", task)) != task:
        raise CdredError(f"{where}: demonstrations of {files.brief(made_for)}, not of {task}")
    if "task" in environment:  # written by cdred
        stated = environment.get("format", 1)
        former.check_order(where, task, str(environment.get("obs")), int(stated))
    with hdf5.opened(data / "main_data.hdf5") as stored:
        count = metadata.get("total_episodes")
        if set(stored) != {f"episode_{k}" for k in range(len(stored))} or count != len(stored):
            raise ValueError(f"its episodes are not the {files.brief(count)} that its metadata has")
        for k in range(len(stored)):
            yield _recording(hdf5.group(stored, f"episode_{k}"), metadata)


def _recording(episode: h5py.Group, metadata: Any) -> Recorded:
    success = hdf5.attribute(episode, "success_at_end")
    once = hdf5.attribute(episode, "success_once")
    if success is None:  # versions before 0.2 wrote that of any state alone
        once = hdf5.attribute(episode, "success") if once is None else once
    if success is None and once is None and "infos" in episode:
        success = hdf5.array(hdf5.group(episode, "infos"), "success")
    obs, action, reward = (
        hdf5.array(episode, name) for name in ("observations", "actions", "rewards")
    )
    ends = tuple((name, hdf5.array(episode, name)) for name in ("terminations", "truncations"))
    spaces = metadata.get("observation_space"), metadata.get("action_space")
    return Recorded(
        obs, action, reward, success, hdf5.attribute(episode, "seed"), ends, *spaces, once
    )
