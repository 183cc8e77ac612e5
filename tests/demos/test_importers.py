"""Demonstrations that others recorded: read without running them, refused where they do not fit."""

from __future__ import annotations

import json
import os
import pickle
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


def equal(found: list[Episode], expected: list[Episode]) -> None:
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.obs, two.obs)
        np.testing.assert_array_equal(one.action, two.action)
        assert one.obs.dtype == one.action.dtype == one.reward.dtype == np.float32


def refused(root: Path, *args: Any, **chosen: Any) -> str:
    with pytest.raises(CdredError) as caught:
        collect(root, *args, **chosen)
    message = str(caught.value)
    assert "\n" not in message
    return message


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


def trajectories(file: Path, env_id: str = "LiftCube-v0", obs: bool = True) -> Path:
    """As `mani_skill2.trajectory.replay_trajectory` writes them: no rewards, an h5 and a json."""
    import h5py

    with h5py.File(file, "w") as stored:
        for k, e in enumerate(episodes(obs_dim=42)):
            group = stored.create_group(f"traj_{k}")
            if obs:
                group["obs"] = e.obs
            group["actions"], group["success"] = e.action, np.arange(6) == 5
    described = [{"episode_id": k, "episode_seed": 100 + k} for k in range(3)]
    text = json.dumps({"env_info": {"env_id": env_id}, "episodes": described})
    file.with_suffix(".json").write_text(text)
    return file


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
    (tmp_path / "u.h5").write_bytes(b"not HDF5")
    assert "u.h5: cannot be read as maniskill2" in refused(
        tmp_path, "maniskill2", "u.h5", "lift-cube"
    )


# ---- pickles ------------------------------------------------------------------------------------


def iq_learns(found: list[Episode]) -> dict[str, list]:
    """Lists by field; observations and the ones after them."""
    return {
        "states": [e.obs[:-1] for e in found], "next_states": [e.obs[1:] for e in found],
        "actions": [e.action for e in found], "rewards": [e.reward for e in found],
        "dones": [[False] * 6 for _ in found], "lengths": [6 for _ in found],
    }  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles_of_arrays(tmp_path: Path, protocol: int) -> None:
    one_by_one = [
        {"observations": e.obs.tolist(), "actions": e.action, "rewards": list(e.reward)}
        for e in episodes()
    ]
    for layout in (iq_learns(episodes()), one_by_one):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout, protocol))
        found = collect(tmp_path, "pickle", "d.pkl")
        equal(found, episodes())
        np.testing.assert_allclose(found[2].reward, episodes()[2].reward)
        assert found[0].success is None


class Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def test_a_pickle_that_would_run_something_does_not(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for hidden in (Payload(f"touch {touched}"), np.array([Payload(f"touch {touched}")], object)):
        layout = iq_learns(episodes()) | {"extra": [hidden]}
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout))
        message = refused(tmp_path, "pickle", "d.pkl")
        assert message.startswith("d.pkl: refused: it asks for posix.system, which is code")
        assert not touched.exists()
    pickle.loads((tmp_path / "d.pkl").read_bytes())
    assert touched.exists()  # the payload works: it was refused, not broken


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    def message(layout: Any) -> str:
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout))
        return refused(tmp_path, "pickle", "d.pkl")

    assert message(iq_learns(episodes(obs_dim=40))) == (
        "d.pkl, episode 0: does not fit mw-reach (state): an observation's shape is (40,), not (39,)"
    )
    loud = iq_learns(episodes())
    loud["actions"][2][3] = 7
    assert "episode 2: does not fit mw-reach: an action of 7, outside [-1, 1]" in message(loud)
    missing = iq_learns(episodes())
    del missing["next_states"]
    assert "none of next_states, next_observations, next_obs among" in message(missing)
    broken = iq_learns(episodes())
    broken["states"][0][0, 0] = np.nan
    assert "episode 0: a number that is not finite" in message(broken)
    (tmp_path / "d.pkl").write_bytes(b"nonsense")
    assert "d.pkl: cannot be read as pickle" in refused(tmp_path, "pickle", "d.pkl")
    assert refused(tmp_path, "pickle", "e.pkl") == "e.pkl: no such file"
