"""Demonstrations as others record them, and what importing them gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cdred.demos import dataset, importers
from cdred.demos.selection import Selection
from cdred.envs.episodes import Episode
from cdred.errors import CdredError

TASK = "mw-reach"


def episodes(count: int = 3, obs_dim: int = 39, steps: int = 6) -> list[Episode]:
    rng = np.random.default_rng(0)
    return [
        Episode(
            rng.normal(size=(steps + 1, obs_dim)).astype(np.float32),
            rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
            rng.uniform(0, 10, steps).astype(np.float32), k != 1, 70 + k,
        )
        for k in range(count)
    ]  # fmt: skip


def collect(
    root: Path, source: str, path: str, task: str = TASK, stride: int = 1, **chosen: Any
) -> list[Episode]:
    return importers.read(root, task, source, path, Selection(**({"episodes": 3} | chosen)), stride)


def refused(root: Path, *args: Any, **chosen: Any) -> str:
    """The one line in which an import is refused."""
    with pytest.raises(CdredError) as caught:
        collect(root, *args, **chosen)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 600
    return message


def equal(actual: list[Episode], expected: list[Episode]) -> None:
    for one, two in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one.obs, two.obs)
        np.testing.assert_array_equal(one.action, two.action)
        assert one.obs.dtype == one.action.dtype == one.reward.dtype == np.float32


def trajectories(
    file: Path, env_id: str = "LiftCube-v0", obs: bool = True, **described: Any
) -> Path:
    """As `mani_skill2.trajectory.replay_trajectory` writes them: no rewards, an h5 and a json."""
    import h5py

    with h5py.File(file, "w") as stored:
        for k, e in enumerate(episodes(obs_dim=42)):
            group = stored.create_group(f"traj_{k}")
            if obs:
                group["obs"] = e.obs
            group["actions"], group["success"] = e.action, np.arange(6) == 5
    common = {"control_mode": "pd_ee_delta_pos"} | described
    listed = [{"episode_id": k, "episode_seed": 100 + k} | common for k in range(3)]
    text = json.dumps({"env_info": {"env_id": env_id, "env_kwargs": {}}, "episodes": listed})
    file.with_suffix(".json").write_text(text)
    return file


def minari(directory: Path, task: str = TASK, **sizes: Any) -> Path:
    """A dataset as `cdred demos` writes it."""
    directory.mkdir(parents=True)
    dataset.write(directory, episodes(**sizes), task, "theirs", {"expert": "x"})
    return directory


def iq_learns(recorded: list[Episode]) -> dict[str, list[Any]]:
    """Lists by field; observations and the ones after them."""
    return {
        "states": [e.obs[:-1] for e in recorded], "next_states": [e.obs[1:] for e in recorded],
        "actions": [e.action for e in recorded], "rewards": [e.reward for e in recorded],
        "dones": [[False] * 6 for _ in recorded], "lengths": [6 for _ in recorded],
    }  # fmt: skip
