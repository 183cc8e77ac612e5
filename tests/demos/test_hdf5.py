"""HDF5 files that reach out of themselves, or are no demonstrations: refused before they are read."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.demonstrations import TASK, collect, episodes, equal, minari, refused, trajectories
from support.hostile import HDF5

from cdred.demos import dataset, importers
from cdred.demos.selection import Selection
from cdred.errors import CdredError


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minari(tmp_path_factory.mktemp("good") / "d")


@pytest.mark.parametrize("case", HDF5)
def test_hostile_datasets(good: Path, tmp_path: Path, case: str) -> None:
    """The same line of an import, of what was pulled, and of what is read to learn from."""
    change, reason = HDF5[case]
    shutil.copytree(good, tmp_path / "d")
    with h5py.File(tmp_path / "d/data/main_data.hdf5", "a") as stored:
        change(stored["episode_0"], tmp_path)
    assert reason in refused(tmp_path, "minari", "d")
    for read in (
        lambda: importers.read_published("them/it", tmp_path / "d", TASK, Selection(1)),
        lambda: dataset.read(tmp_path / "d", TASK),
    ):
        with pytest.raises(CdredError) as caught:
            read()
        assert reason in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("case", ["storage in another file", "a virtual dataset", "a link beside"])
def test_hostile_trajectories(tmp_path: Path, case: str) -> None:
    change, reason = HDF5[case]
    trajectories(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5", "a") as stored:
        for name in ("rewards", "truncations"):
            stored["traj_0"][name] = np.zeros(6, "f4")
        change(stored["traj_0"], tmp_path)
    assert reason in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"episodes": None}, "t.json: episodes: must be a valid list"),
        ({"episodes": ["x"]}, "t.json: episodes.0: "),
        ({"episodes": [{"episode_id": "0/../x"}]}, "t.json: episodes.0.episode_id: "),
        ({"episodes": [{"episode_id": 0}] * 2}, "t.json: episodes: an episode_id stands twice"),
        (
            {"episodes": [{"episode_id": 0, "control_mode": []}]},
            "t.json: episodes.0.control_mode: ",
        ),
        ({"env_info": []}, "t.json: env_info: "),
        ({"env_info": {"env_id": {}}}, "t.json: env_info.env_id: must be a valid string"),
        ({"env_info": {"env_id": "x", "env_kwargs": 1}}, "t.json: env_info.env_kwargs: "),
    ],
)
def test_a_description_that_is_none(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    file = trajectories(tmp_path / "t.h5").with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert line in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")


def test_an_environment_that_a_dataset_names_is_not_built(good: Path, tmp_path: Path) -> None:
    """Minari would, with any function and arguments, where the spaces are missing."""
    shutil.copytree(good, tmp_path / "d")
    file = tmp_path / "d/data/metadata.json"
    metadata = json.loads(file.read_text())
    del metadata["observation_space"], metadata["action_space"]
    metadata["env_spec"] = json.dumps(
        {
            "id": "It-v0", "entry_point": "os:system", "additional_wrappers": [],
            "kwargs": {"command": f"touch {tmp_path}/touched"},
        }
    )  # fmt: skip
    file.write_text(json.dumps(metadata))
    equal(collect(tmp_path, "minari", "d"), episodes())
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "metadata.json: not valid JSON"),
        (b"[" * 10_000, "metadata.json: not valid JSON"),
        (b"null", "metadata.json: holds no table"),
        (b"\xff", "metadata.json: not UTF-8, at byte 0"),
        (b"{}", "its data_format is None; hdf5 is read"),
        (b'{"data_format": "arrow"}', "its data_format is arrow; hdf5 is read"),
        (b'{"data_format": "hdf5", "environment": 7}', "cannot be read as minari: "),
        (
            b'{"data_format": "hdf5", "environment": "{\\"task\\": [1]}"}',
            "demonstrations of [1], not",
        ),
        (b'{"data_format": "hdf5", "total_episodes": 4}', "its episodes are not the 4 that"),
    ],
)
def test_metadata_of_something_else(
    good: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    shutil.copytree(good, tmp_path / "d")
    (tmp_path / "d/data/metadata.json").write_bytes(content)
    assert reason in refused(tmp_path, "minari", "d")


def test_what_is_not_a_file(good: Path, tmp_path: Path) -> None:
    trajectories(tmp_path / "t.h5")
    shutil.copytree(good, tmp_path / "d")
    for file in (
        tmp_path / "t.h5",
        tmp_path / "d/data/main_data.hdf5",
        tmp_path / "d/data/metadata.json",
    ):
        file.unlink()
        os.mkfifo(file)
        reason = f"{file.name}: not a regular file"
        if file.suffix == ".h5":
            assert reason in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")
        else:
            assert reason in refused(tmp_path, "minari", "d")
    (tmp_path / "t.h5").unlink()
    (tmp_path / "t.h5").write_bytes(b"not HDF5")
    assert "does not begin as an HDF5 file" in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")


def test_compressed_datasets(good: Path, tmp_path: Path) -> None:
    """Those of ManiSkill2 are, and others may be."""
    shutil.copytree(good, tmp_path / "d")
    with h5py.File(tmp_path / "d/data/main_data.hdf5", "a") as stored:
        for group in stored.values():
            obs = group["observations"][:]
            del group["observations"]
            group.create_dataset(
                "observations", data=obs, compression="gzip", shuffle=True, fletcher32=True,
                chunks=(2, 39),
            )  # fmt: skip
    equal(collect(tmp_path, "minari", "d"), episodes())
