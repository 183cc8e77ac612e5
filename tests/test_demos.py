"""Demonstrations are Minari datasets that anyone can read, the same bytes every time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cdred import demos, manifest
from cdred.config import Demos
from cdred.envs.rollout import Episode
from cdred.errors import CdredError
from cdred.learning.scripted import ScriptedExpert


def episodes() -> list[Episode]:
    rng = np.random.default_rng(0)
    return [
        Episode(
            rng.normal(size=(11, 4)).astype(np.float32),
            rng.uniform(-1, 1, (10, 2)).astype(np.float32),
            rng.uniform(0, 2, 10).astype(np.float32), success, seed,
        )
        for success, seed in ((True, 11), (False, 12), (True, 13))
    ]  # fmt: skip


def write(directory: Path) -> Path:
    directory.mkdir()
    demos.write(directory, episodes(), "cup-catch", "expert-3", {"expert": "abc"})
    return directory


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    directory = write(tmp_path / "d")
    for expected, found in zip(episodes(), demos.read(directory), strict=True):
        np.testing.assert_array_equal(expected.obs, found.obs)
        np.testing.assert_array_equal(expected.action, found.action)
        np.testing.assert_array_equal(expected.reward, found.reward)
        assert (expected.success, expected.seed) == (found.success, found.seed)
    assert [e.seed for e in demos.read(directory, limit=2)] == [11, 12]
    with pytest.raises(CdredError, match="4 episodes asked for, 3 are there"):
        demos.read(directory, limit=4)


def test_minari_reads_it_with_its_provenance(tmp_path: Path) -> None:
    from minari import MinariDataset

    dataset = MinariDataset(write(tmp_path / "d") / "data")
    assert dataset.id == "cup-catch/expert-3-v0" and dataset.total_steps == 30
    assert dataset.action_space.shape == (2,)
    extra = next(iter(dataset.storage.get_episode_metadata([0])))
    assert extra["seed"] == 11 and extra["expert"] == "abc"
    environment = json.loads(dataset.storage.metadata["environment"])
    assert environment["task"] == "cup-catch" and environment["action_repeat"] == 2
    assert environment["packages"]["mujoco"] == "3.3.7"
    assert extra["return"] == pytest.approx(episodes()[0].episode_return)
    assert dataset[0].truncations[-1] and not dataset[0].terminations.any()


def test_the_same_episodes_are_the_same_bytes(tmp_path: Path) -> None:
    first = manifest.hash_tree(write(tmp_path / "a"))
    time.sleep(1.1)  # a time stamp in the file would show
    assert manifest.hash_tree(write(tmp_path / "b")) == first


def test_demonstrations_of_pixels_stay_bytes(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 9, 64, 64), np.uint8)
    episode = Episode(frames, np.zeros((3, 2), np.float32), np.zeros(3, np.float32), None, 5)
    demos.write(tmp_path, [episode], "cup-catch", "seen", {"expert": "abc"})
    (found,) = demos.read(tmp_path)
    assert found.obs.dtype == np.uint8
    np.testing.assert_array_equal(found.obs, frames)


# ---- which episodes -------------------------------------------------------------------------------


class Clumsy:
    """Reaches the goal in some episodes alone: its aim is off by what the goal's place decides."""

    method, obs = "expert", "state"

    def __init__(self) -> None:
        self.expert = ScriptedExpert("mw-reach")

    def act(self, obs: np.ndarray) -> np.ndarray:
        return np.where(obs[:, -3:-2] > 0, self.expert.act(obs), 0).astype(np.float32)

    def eval(self) -> Clumsy:
        return self

    def reset(self) -> None:
        pass

    def acting_state(self) -> None:
        return None


def collect(**wanted: Any) -> list[Episode]:
    return demos.collect(Clumsy(), "mw-reach", Demos(expert="clumsy", **wanted))  # type: ignore[arg-type]


def test_only_the_episodes_that_are_wanted_are_kept() -> None:
    everything = collect(episodes=8)
    some = [e for e in everything if e.success]
    assert 0 < len(some) < 8
    kept = collect(episodes=8, only="successful")
    assert len(kept) == 8 and all(e.success for e in kept)
    assert [e.seed for e in kept][: len(some)] == [e.seed for e in some]
    np.testing.assert_array_equal(kept[0].obs, some[0].obs)
    level = sorted(e.episode_return for e in everything)[-3]
    assert all(e.episode_return >= level for e in collect(episodes=4, min_return=level))


def test_an_expert_that_is_never_good_enough_is_told() -> None:
    with pytest.raises(CdredError, match=r"only 0 of 10 episodes .*'clumsy'.* at least 1e\+06"):
        collect(episodes=1, min_return=1e6)


def test_what_an_expert_did_can_be_seen_in_pixels() -> None:
    seen = collect(episodes=1, obs="rgb")[0]
    acted = collect(episodes=1)[0]
    assert seen.obs.shape == (101, 9, 64, 64)
    np.testing.assert_array_equal(seen.action, acted.action)
    np.testing.assert_array_equal(seen.reward, acted.reward)
    assert (seen.seed, seen.success) == (acted.seed, acted.success)
