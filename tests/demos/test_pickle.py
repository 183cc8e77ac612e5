"""Pickles of arrays: read without running anything, whatever they hold."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.demonstrations import collect, episodes, equal, iq_learns, refused
from support.hostile import GREEDY, PICKLES, Reduced

from cdred.demos import unpickle


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_arrays(tmp_path: Path, protocol: int) -> None:
    one_by_one = [
        {"observations": e.obs.tolist(), "actions": e.action, "rewards": list(e.reward)}
        for e in episodes()
    ]
    by_position = [  # as the authors' code reads them, a step at a time
        [list(e.obs[:-1]), list(e.action), e.reward.tolist(), list(e.obs[1:])] for e in episodes()
    ]
    for layout in (iq_learns(episodes()), one_by_one, by_position):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout, protocol))
        actual = collect(tmp_path, "pickle", "d.pkl")
        equal(actual, episodes())
        np.testing.assert_allclose(actual[2].reward, episodes()[2].reward)
        assert actual[0].success is None


def test_arrays_of_other_orders_and_dtypes(tmp_path: Path) -> None:
    layout = iq_learns(episodes())
    layout["states"] = [np.asfortranarray(a, ">f8") for a in layout["states"]]
    layout["rewards"] = [a.astype(np.float16)[::2].repeat(2) for a in layout["rewards"]]
    layout |= {
        "seed": [np.int16(5), 6, np.uint64(7)],
        "reward": [[9]] * 3,
        "names": [np.array("a"), np.array(b"b"), {}],
    }
    for protocol in (2, 5):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout, protocol))
        actual = collect(tmp_path, "pickle", "d.pkl")
        equal(actual, episodes())
        assert [e.seed for e in actual] == [5, 6, 7]


def test_a_pickle_that_would_run_something_does_not(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    layout = iq_learns(episodes()) | {"extra": [Reduced(os.system, (f"touch {touched}",))]}
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout))
    message = refused(tmp_path, "pickle", "d.pkl")
    assert message.startswith("d.pkl: refused: it asks for posix.system, which is code")
    assert not touched.exists()
    pickle.loads((tmp_path / "d.pkl").read_bytes())
    assert touched.exists()  # the payload works: it was refused, not broken


@pytest.mark.parametrize("case", PICKLES)
def test_hostile_pickles(tmp_path: Path, case: str) -> None:
    content, reason = PICKLES[case]
    (tmp_path / "d.pkl").write_bytes(content)
    assert reason in refused(tmp_path, "pickle", "d.pkl")


@pytest.mark.parametrize("case", GREEDY)
def test_a_pickle_takes_a_small_multiple_of_its_size(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpickle, "MORE", 2**16)
    first, part, last = GREEDY[case]
    content = b"\x80\x04" + first + part * (300_000 // len(part)) + last
    (tmp_path / "d.pkl").write_bytes(content)
    tracemalloc.start()
    try:
        refused(tmp_path, "pickle", "d.pkl")
        assert tracemalloc.get_traced_memory()[1] < 32 * len(content) + 2**20
    finally:
        tracemalloc.stop()


def test_lists_of_too_many_small_things_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpickle, "MORE", 2**16)
    (tmp_path / "d.pkl").write_bytes(pickle.dumps([[] for _ in range(10_000)]))
    line = (
        "it takes more memory than 24 times its size and 0 MB; arrays in place of lists of single"
    )
    assert line in refused(tmp_path, "pickle", "d.pkl")


def test_a_field_that_is_one_array_is_read_by_episode(tmp_path: Path) -> None:
    fields = {key: np.stack(values) for key, values in iq_learns(episodes()).items()}
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(fields))
    equal(collect(tmp_path, "pickle", "d.pkl"), episodes())


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("pipe", "pipe: not a regular file"), (".", "not a regular file"), ("x" * 300, "too long"),
        ("/dev/zero", "zero: not a regular file"),
    ):  # fmt: skip
        assert reason in refused(tmp_path, "pickle", name)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    def message(layout: Any) -> str:
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(layout))
        return refused(tmp_path, "pickle", "d.pkl")

    assert message(iq_learns(episodes(obs_dim=40))) == (
        "d.pkl, episode 0: does not fit mw-reach (state): an observation's shape is (40,), not (39,)"
    )
    loud = iq_learns(episodes())
    loud["actions"][2][3] = 7
    assert (
        "episode 2: does not fit mw-reach (state): actions: one of 7, outside [-1, 1]"
        in message(loud)
    )
    missing = iq_learns(episodes())
    del missing["next_states"]
    assert "none of next_states, next_observations, next_obs among" in message(missing)
    padded = iq_learns(episodes()) | {"lengths": [6, 5, 6]}
    assert "episode 1: an episode of length 5 with 6 actions" in message(padded)
    shuffled = iq_learns(episodes())
    shuffled["states"][1] = shuffled["states"][1][::-1]
    assert "episode 1: an observation is not the one that follows the action before" in message(
        shuffled
    )
    uneven = iq_learns(episodes()) | {"dones": [[False] * 6]}
    assert "fields of different numbers of episodes: {'states': 3" in message(uneven)
    broken = iq_learns(episodes())
    broken["states"][0][0, 0] = np.nan
    assert "observations: a number that is not finite in step 0" in message(broken)
    (tmp_path / "d.pkl").write_bytes(b"nonsense")
    assert "d.pkl: cannot be read as pickle" in refused(tmp_path, "pickle", "d.pkl")
    assert refused(tmp_path, "pickle", "e.pkl") == "e.pkl: no such file"
