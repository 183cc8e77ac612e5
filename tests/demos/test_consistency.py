"""Recorded observations that mean something else than the environment's are noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cdred.demos import consistency
from cdred.envs import make_vec
from cdred.envs.episodes import Episode, rollout
from cdred.errors import CdredError

TASK = "hopper-hop"
# positions, velocities, touch; sorted by name as versions before 0.2 had them
ALPHABETICAL = [0, 1, 2, 3, 4, 5, 13, 14, *range(6, 13)]


@pytest.fixture(scope="module")
def recorded() -> list[Episode]:
    rng, envs = np.random.default_rng(0), make_vec(TASK, 4)
    episodes = rollout(
        lambda obs: rng.uniform(-1, 1, (4, 4)).astype(np.float32), envs, [3, 4, 5, 6]
    )
    envs.close()
    return [
        replace(e, obs=e.obs[:21], action=e.action[:20], reward=e.reward[:20]) for e in episodes
    ]


def changed(episodes: list[Episode], change: Callable[[Any], Any], seeds: bool) -> list[Episode]:
    other = 0 if seeds else 1000
    return [replace(e, obs=change(e.obs), seed=e.seed + other) for e in episodes]


def test_what_agrees_is_taken_and_says_why(recorded: list[Episode]) -> None:
    same = changed(recorded, lambda obs: obs, seeds=True)
    assert consistency.check("it", TASK, same) == (
        "it: 3 episodes played again by their seeds: as recorded"
    )
    other = changed(recorded, lambda obs: obs, seeds=False)
    assert "first observations are within the environment's" in consistency.check("it", TASK, other)


@pytest.mark.parametrize(
    ("change", "seeds"),
    [
        (lambda obs: obs[:, ALPHABETICAL], True),  # all that moves begins with 0: replay tells
        (lambda obs: obs[:, ::-1], True), (lambda obs: obs[:, ::-1], False),
        (lambda obs: 10 * obs, True), (lambda obs: 10 * obs, False),
    ],
)  # fmt: skip
def test_another_order_or_scale_is_refused(
    change: Callable[[Any], Any], seeds: bool, recorded: list[Episode]
) -> None:
    with pytest.raises(CdredError, match="in another order, or units"):
        consistency.check("it", TASK, changed(recorded, change, seeds))


def test_actions_of_another_rate_are_refused(recorded: list[Episode]) -> None:
    slower = [replace(e, obs=e.obs[::2], action=e.action[::2]) for e in recorded]
    with pytest.raises(CdredError, match="its actions lead elsewhere in step 1: of another rate"):
        consistency.check("it", TASK, slower)


def test_means_of_actions_are_not_played_again(recorded: list[Episode]) -> None:
    """Those of a recording that is read by stride; its first states still tell."""
    slower = [replace(e, obs=e.obs[::2], action=e.action[::2]) for e in recorded]
    assert consistency.check("it", TASK, slower, play=False) == (
        "it: 3 episodes begin as the environment does with their seeds"
    )
    other = changed(slower, lambda obs: obs[:, ::-1], seeds=True)
    with pytest.raises(CdredError, match="in another order, or units"):
        consistency.check("it", TASK, other, play=False)
