"""Demonstrations that others recorded: read without running them, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.demonstrations import TASK, collect, episodes, equal, refused, trajectories

from cdred.demos import dataset

# ---- Minari -------------------------------------------------------------------------------------


def test_a_minari_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory, or an id among the datasets that Minari keeps."""
    kept = tmp_path / "datasets/mw-reach/theirs-v0"
    kept.mkdir(parents=True)
    dataset.write(kept, episodes(), TASK, "theirs", {"expert": "x"})
    found = collect(tmp_path, "minari", "datasets/mw-reach/theirs-v0")
    equal(found, episodes())
    assert [(e.seed, e.success) for e in found] == [(70, True), (71, False), (72, True)]
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    equal(collect(tmp_path, "minari", "mw-reach/theirs-v0"), episodes())
    equal(
        collect(tmp_path, "minari", "mw-reach/theirs-v0", episodes=2, only="successful"),
        [episodes()[0], episodes()[2]],
    )
    message = refused(tmp_path, "minari", "mw-reach/theirs-v0", "mw-push")
    assert message == "mw-reach/theirs-v0: demonstrations of mw-reach, not of mw-push"
    assert "4 episodes asked for, 3 are there" in refused(
        tmp_path, "minari", "mw-reach/theirs-v0", episodes=4
    )


# ---- ManiSkill2 ---------------------------------------------------------------------------------


def test_maniskill2_trajectories(tmp_path: Path) -> None:
    trajectories(tmp_path / "t.h5")
    found = collect(tmp_path, "maniskill2", "t.h5", "lift-cube")
    equal(found, episodes(obs_dim=42))
    assert [e.seed for e in found] == [100, 101, 102]
    assert all(e.success for e in found) and np.isnan(found[0].reward).all()


def test_a_recording_at_twice_the_rate(tmp_path: Path) -> None:
    trajectories(tmp_path / "t.h5")
    found = collect(tmp_path, "maniskill2", "t.h5", "lift-cube", stride=2)[0]
    whole = episodes(obs_dim=42)[0]
    np.testing.assert_array_equal(found.obs, whole.obs[[0, 2, 4, 6]])
    np.testing.assert_allclose(found.action[1], (whole.action[2] + whole.action[3]) / 2)


def test_maniskill2_trajectories_of_something_else(tmp_path: Path) -> None:
    trajectories(tmp_path / "t.h5", "PickCube-v0")
    message = refused(tmp_path, "maniskill2", "t.h5", "lift-cube")
    assert message == "t.h5: demonstrations of PickCube-v0, not of lift-cube"
    trajectories(tmp_path / "u.h5", obs=False)
    assert "replay_trajectory --traj-path u.h5 -o state" in refused(
        tmp_path, "maniskill2", "u.h5", "lift-cube"
    )


def test_a_choice_by_what_was_not_recorded(tmp_path: Path) -> None:
    trajectories(tmp_path / "t.h5")
    message = refused(tmp_path, "maniskill2", "t.h5", "lift-cube", min_return=1.0)
    assert message.startswith("t.h5, episode 0: its rewards were not recorded: whether it is as")


@pytest.mark.parametrize("described", [{"control_mode": "pd_joint_pos"}, {"control_mode": None}])
def test_actions_of_another_control_mode(tmp_path: Path, described: dict[str, Any]) -> None:
    trajectories(tmp_path / "t.h5", **described)
    message = refused(tmp_path, "maniskill2", "t.h5", "lift-cube")
    mode = described["control_mode"] or "missing"
    assert message.startswith(f"t.h5, episode 0: control_mode {mode}, not pd_ee_delta_pos; python")
    text = (tmp_path / "t.json").read_text()
    text = text.replace('"env_kwargs": {}', '"env_kwargs": {"control_mode": "pd_joint_pos"}')
    trajectories(tmp_path / "t.h5")
    (tmp_path / "t.json").write_text(text)
    assert "control_mode pd_joint_pos, not" in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "t.json: env_info: Field required"),
        (b"[7]", "t.json: holds no table"),
        (b'{"env_info": {"env_id": 7}}', "t.json: env_info.env_id: must be a valid string"),
        (b'{"env_info": {"env_id": "LiftCube-v0"}, "episodes": null}', "t.json: episodes: must be a valid list"),
        (b'{"env_info": {"env_id": "LiftCube-v0"}, "episodes": [7]}', "t.json: episodes.0: must be a valid dictionary"),
    ],
)  # fmt: skip
def test_descriptions_of_something_else(tmp_path: Path, content: bytes, reason: str) -> None:
    trajectories(tmp_path / "t.h5")
    (tmp_path / "t.json").write_bytes(content)
    assert reason in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")
    (tmp_path / "t.json").unlink()
    assert "t.json: missing" in refused(tmp_path, "maniskill2", "t.h5", "lift-cube")
