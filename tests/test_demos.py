"""Demonstrations are Minari datasets that anyone can read, the same bytes every time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from cdred import demos, manifest
from cdred.envs.rollout import Episode
from cdred.errors import CdredError


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
    demos.write(directory, episodes(), "cup-catch/expert-3-v0", {"expert": "abc"})
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
    assert extra["return"] == pytest.approx(episodes()[0].episode_return)
    assert dataset[0].truncations[-1] and not dataset[0].terminations.any()


def test_the_same_episodes_are_the_same_bytes(tmp_path: Path) -> None:
    first = manifest.hash_tree(write(tmp_path / "a"))
    time.sleep(1.1)  # a time stamp in the file would show
    assert manifest.hash_tree(write(tmp_path / "b")) == first
