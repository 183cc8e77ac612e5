"""Demonstrations are Minari datasets that anyone can read, the same bytes every time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from cdred import manifest
from cdred.demos import dataset
from cdred.envs.episodes import Episode
from cdred.errors import CdredError

TASK = "cup-catch"


def episodes() -> list[Episode]:
    rng = np.random.default_rng(0)
    return [
        Episode(
            rng.normal(size=(11, 8)).astype(np.float32),
            rng.uniform(-1, 1, (10, 2)).astype(np.float32),
            rng.uniform(0, 2, 10).astype(np.float32), success, seed,
        )
        for success, seed in ((True, 11), (False, 12), (True, 13))
    ]  # fmt: skip


def write(directory: Path) -> Path:
    directory.mkdir()
    dataset.write(directory, episodes(), "cup-catch", "expert-3", {"expert": "abc"})
    return directory


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    directory = write(tmp_path / "d")
    for expected, actual in zip(episodes(), dataset.read(directory, TASK), strict=True):
        np.testing.assert_array_equal(expected.obs, actual.obs)
        np.testing.assert_array_equal(expected.action, actual.action)
        np.testing.assert_array_equal(expected.reward, actual.reward)
        assert (expected.success, expected.seed) == (actual.success, actual.seed)
    assert [e.seed for e in dataset.read(directory, TASK, limit=2)] == [11, 12]
    with pytest.raises(CdredError, match="4 episodes asked for, 3 are there"):
        dataset.read(directory, TASK, limit=4)
    with pytest.raises(
        CdredError, match=r"episode 0: does not fit .* 10 steps, less than the horizon of 11"
    ):
        dataset.read(directory, TASK, horizon=11)
    with pytest.raises(CdredError, match="demonstrations of cup-catch, not of cup-spin"):
        dataset.read(directory, "cup-spin")


def test_minari_reads_it_with_its_provenance(tmp_path: Path) -> None:
    from minari import MinariDataset

    opened = MinariDataset(write(tmp_path / "d") / "data")
    assert opened.id == "cup-catch/expert-3-v0" and opened.total_steps == 30
    assert opened.action_space.shape == (2,)
    extra = next(iter(opened.storage.get_episode_metadata([0])))
    assert extra["seed"] == 11 and extra["expert"] == "abc"
    environment = json.loads(opened.storage.metadata["environment"])
    assert environment["task"] == "cup-catch" and environment["action_repeat"] == 2
    assert environment["packages"]["mujoco"] == "3.3.7"
    assert extra["return"] == pytest.approx(episodes()[0].episode_return)
    assert opened[0].truncations[-1] and not opened[0].terminations.any()


def test_the_same_episodes_are_the_same_bytes(tmp_path: Path) -> None:
    first = manifest.hash_tree(write(tmp_path / "a"))
    time.sleep(1.1)  # a time stamp in the file would show
    assert manifest.hash_tree(write(tmp_path / "b")) == first


def test_demonstrations_of_pixels_stay_bytes(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 9, 64, 64), np.uint8)
    episode = Episode(frames, np.zeros((3, 2), np.float32), np.zeros(3, np.float32), None, 5)
    dataset.write(tmp_path, [episode], "cup-catch", "seen", {"expert": "abc"})
    (actual,) = dataset.read(tmp_path, TASK, "rgb")
    assert actual.obs.dtype == np.uint8
    np.testing.assert_array_equal(actual.obs, frames)


def test_a_dataset_of_another_order_of_observations_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = ((11, 15), (10, 4), (10,))
    obs, action, reward = (rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes)
    (tmp_path / "d").mkdir()
    dataset.write(tmp_path / "d", [Episode(obs, action, reward, None, 0)], "hopper-hop", "x", {})
    assert len(dataset.read(tmp_path / "d", "hopper-hop")) == 1
    file = tmp_path / "d/data/metadata.json"
    text = file.read_text()
    file.write_text(text.replace(', \\"format\\": 2', ""))
    assert file.read_text() != text
    with pytest.raises(CdredError, match="observations of hopper-hop in another order"):
        dataset.read(tmp_path / "d", "hopper-hop")
