"""Which episodes of an expert become demonstrations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cdred.demos import selection
from cdred.demos.selection import Selection
from cdred.envs.episodes import Episode
from cdred.errors import CdredError
from cdred.learning.scripted import ScriptedExpert


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

    def restore_acting_state(self, state: None) -> None:
        pass


def collect(**chosen: Any) -> list[Episode]:
    return selection.collect(Clumsy(), "mw-reach", Selection(**chosen), "clumsy")  # type: ignore[arg-type]


def test_only_the_episodes_that_are_accepted_are_kept() -> None:
    everything = collect(episodes=8)
    some = [e for e in everything if e.success]
    assert 0 < len(some) < 8
    kept = collect(episodes=8, only="successful")
    assert len(kept) == 8 and all(e.success for e in kept)
    assert [e.seed for e in kept][: len(some)] == [e.seed for e in some]
    np.testing.assert_array_equal(kept[0].obs, some[0].obs)
    level = sorted(e.episode_return for e in everything)[-3]
    assert all(e.episode_return >= level for e in collect(episodes=4, min_return=level))


def test_a_success_that_does_not_last_is_one_if_once_is_enough() -> None:
    """Meta-World's policy pushes the stick past its goal."""
    expert, task = ScriptedExpert("mw-stick-push"), "mw-stick-push"
    (one,) = selection.collect(expert, task, Selection(1, only="successful_once"), "scripted")
    assert one.success_once and not one.success
    with pytest.raises(CdredError, match=r"only 0 of 10 .* \(successful\)"):
        selection.collect(expert, task, Selection(1, only="successful"), "scripted")


def test_what_the_task_does_not_tell_cannot_be_asked_for() -> None:
    class Still(Clumsy):
        def act(self, obs: np.ndarray) -> np.ndarray:
            return np.zeros((len(obs), 1), np.float32)

    expert: Any = Still()
    with pytest.raises(CdredError, match="cartpole-balance: has no success, which demonstrations"):
        selection.collect(expert, "cartpole-balance", Selection(1, only="successful"))


def test_an_expert_that_is_never_good_enough_is_told() -> None:
    with pytest.raises(CdredError, match=r"only 0 of 10 of the expert 'clumsy' .* at least 1e\+06"):
        collect(episodes=1, min_return=1e6)


def test_what_an_expert_did_can_be_seen_in_pixels() -> None:
    seen = collect(episodes=1, obs="rgb")[0]
    acted = collect(episodes=1)[0]
    assert seen.obs.shape == (101, 9, 64, 64)
    np.testing.assert_array_equal(seen.action, acted.action)
    np.testing.assert_array_equal(seen.reward, acted.reward)
    assert (seen.seed, seen.success) == (acted.seed, acted.success)
