"""The rules by which recorded episodes are of a task, and the reasons why others are refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.demonstrations import TASK

from cdred.demos.recorded import Expected, Recorded
from cdred.envs.episodes import Episode
from cdred.errors import CdredError

GOOD: dict[str, Any] = {
    "obs": np.linspace(-1, 1, 7 * 39).reshape(7, 39), "action": np.full((6, 4), 0.5),
    "reward": np.arange(6.0), "success": [0, 1, 0, 0, 0, 0], "seed": 5,
    "ends": (("terminations", [False] * 5 + [True]),),
}  # fmt: skip


def episode(stride: int = 1, horizon: int = 1, mode: str = "state", **changed: Any) -> Episode:
    expected = Expected(TASK, mode, stride, horizon)
    return Recorded(**GOOD | changed).episode("it, episode 3", 3, expected)


def steps(count: int) -> dict[str, Any]:
    arrays = {"obs": np.zeros((count + 1, 39)), "action": np.zeros((count, 4))}
    return arrays | {"reward": None, "success": None, "ends": ()}


def changed(field: str, place: Any, value: Any) -> dict[str, Any]:
    array = np.array(GOOD[field], float)
    array[place] = value
    return {field: array}


def test_what_was_recorded_is_taken_over() -> None:
    e = episode()
    np.testing.assert_array_equal(e.obs, GOOD["obs"].astype(np.float32))
    assert e.obs.dtype == e.action.dtype == e.reward.dtype == np.float32
    assert (e.success, e.success_once, e.seed) == (False, True, 5)


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"obs": np.full((7, 39), 200, np.uint8)}, "obs", np.full((7, 39), 200, np.float32)),
        ({"reward": None}, "reward", np.full(6, np.nan)),
        ({"reward": np.full(6, np.nan)}, "reward", np.full(6, np.nan)),
        ({"reward": np.arange(6)[:, None]}, "reward", np.arange(6)),
        ({"success": None}, "success", None),
        ({"success": np.zeros(7)}, "success", False),
        ({"success": True}, "success", True),
        ({"seed": None}, "seed", 3),
        ({"seed": np.uint64(2**63 - 1)}, "seed", 2**63 - 1),
        (steps(100), "seed", 5),
        (steps(201) | {"stride": 2}, "seed", 5),
        ({"horizon": 6}, "seed", 5),
    ],
)
def test_other_forms_of_the_same(change: dict[str, Any], field: str, value: Any) -> None:
    actual = getattr(episode(**change), field)
    np.testing.assert_array_equal(actual, value)
    assert not isinstance(actual, np.ndarray) or actual.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (steps(0), "0 steps, less than the horizon of 1"),
        (steps(101), "101 steps, an episode of the task has 100; of a recording at another rate `stride`"),
        (steps(202) | {"stride": 2}, "202 steps, 101 by stride 2, an episode of the task has 100"),
        ({"stride": 7}, "6 steps, 0 by stride 7, less than the horizon of 1"),
        ({"stride": 2, "horizon": 4}, "6 steps, 3 by stride 2, less than the horizon of 4"),
        ({"horizon": 7}, "6 steps, less than the horizon of 7"),
        ({"obs": np.zeros((6, 39))}, "observations are 6, not 7"),
        ({"obs": np.zeros((7, 13, 3))}, "an observation's shape is (13, 3), not (39,)"),
        ({"obs": None}, "observations: missing"),
        ({"obs": np.zeros((7, 39), "M8[s]")}, "observations: datetime64[s], not real numbers"),
        ({"obs": np.zeros((7, 39), complex)}, "observations: complex128, not real numbers"),
        ({"obs": np.full((7, 39), "1")}, "observations: <U1, not real numbers"),
        ({"obs": np.full((7, 39), None)}, "observations: object, not real numbers"),
        (changed("obs", (4, 3), np.nan), "observations: a number that is not finite in step 4"),
        (changed("obs", (6, 0), 1e300), "observations: a number that is not finite in step 6"),
        (changed("action", (2, 1), -np.inf), "actions: a number that is not finite in step 2"),
        (changed("action", (2, 1), 1.1), "actions: one of 1.1, outside [-1, 1]"),
        (changed("reward", 1, np.inf), "rewards: a number that is not finite in step 1"),
        (changed("reward", 1, np.nan), "rewards: a number that is not finite in step 1"),
        ({"reward": np.zeros(7)}, "rewards are 7, not 6"),
        ({"reward": 1.0}, "rewards are 1, not 6"),
        ({"reward": np.zeros(6, complex)}, "rewards: complex128, not real numbers"),
        ({"success": np.nan}, "success: nan, neither true nor false"),
        ({"success": [0, 1, 2, 0, 0, 0]}, "success: 2, neither true nor false"),
        ({"success": "no"}, "success: <U2, not real numbers"),
        ({"success": [True] * 3}, "success are 3, not 7"),
        ({"seed": -1}, "seed: not from 0 to 2^63 - 1"),
        ({"seed": 10**30}, "seed: not from 0 to 2^63 - 1"),
        ({"seed": 10**5000}, "seed: not from 0 to 2^63 - 1"),
        ({"seed": 7.0}, "seed: a float, not a whole number"),
        ({"seed": True}, "seed: a bool, not a whole number"),
        ({"seed": "7"}, "seed: a str, not a whole number"),
        ({"ends": (("dones", [0, 0, 1, 0, 0, 1]),)}, "dones: it ends after step 3 of 6"),
        ({"ends": (("dones", [0, 0, 1]),)}, "dones are 3, not 6"),
        ({"ends": (("dones", [0, 0, 0, 0, 0, np.nan]),)}, "dones: nan, neither true nor false"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(CdredError) as caught:
        episode(**change)
    assert str(caught.value).startswith(f"it, episode 3: does not fit mw-reach (state): {reason}")


FRAMES = np.random.default_rng(0).integers(0, 256, (7, 9, 64, 64), np.uint8)


def space(low: float, high: float) -> str:
    return json.dumps({"type": "Box", "low": [[low, low]], "high": [[high, high]]})


@pytest.mark.parametrize(
    ("frames", "stated"),
    [
        (FRAMES, None),
        (FRAMES.astype(np.int64), None),
        (FRAMES / 255, space(0, 1)),
        ((FRAMES / 127.5 - 1).astype(np.float32), space(-1, 1)),
        (FRAMES.astype(np.float32), space(0, 255)),
    ],
)
def test_pixels_of_a_stated_convention(frames: Any, stated: str | None) -> None:
    actual = episode(mode="rgb", obs=frames, space=stated).obs
    assert actual.dtype == np.uint8
    np.testing.assert_array_equal(actual, FRAMES)


@pytest.mark.parametrize(
    ("frames", "stated", "reason"),
    [
        (FRAMES / 255, None, "pixels as float64; whole numbers from 0 to 255 are read"),
        (FRAMES / 255, space(0, 2), "pixels as float64; whole numbers from 0 to 255 are read"),
        (FRAMES / 255, '{"low": 0, "high": [0, 1]}', "pixels as float64; whole numbers"),
        (FRAMES / 127.5, space(0, 1), "pixels from 0 to 2, outside [0, 1]"),
        (FRAMES * np.nan, space(0, 1), "pixels from nan to nan, outside [0, 1]"),
        (FRAMES.astype(np.int16) - 1, None, "pixels from -1 to 254, outside [0, 255]"),
        (FRAMES.transpose(0, 2, 3, 1), None, "an observation's shape is (64, 64, 9), not (9, 64, 64)"),
    ],
)  # fmt: skip
def test_other_pixels_are_refused(frames: Any, stated: str | None, reason: str) -> None:
    with pytest.raises(CdredError) as caught:
        episode(mode="rgb", obs=frames, space=stated)
    assert reason in str(caught.value)


def bounds(low: Any, high: Any) -> str:
    return json.dumps({"type": "Box", "low": low, "high": high})


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (None, 0.5),
        (bounds([-1] * 4, [1] * 4), 0.5),
        (bounds([-2] * 4, [2] * 4), 0.25),
        (bounds([-0.5, -1, 0, 0.25], [0.5, 1, 1, 1.25]), [1, 0.5, 0, -0.5]),
        (bounds([-np.inf] * 4, [np.inf] * 4), 0.5),
        ('{"type": "Discrete", "n": 4}', 0.5),
    ],
)
def test_actions_of_a_stated_space(stated: str | None, expected: Any) -> None:
    actual = episode(action_space=stated).action
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual, np.broadcast_to(np.float32(expected), (6, 4)))


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        (bounds([-0.25] * 4, [0.25] * 4), "actions: one of 2, outside [-1, 1]"),
        (bounds([-1] * 3, [1] * 3), "actions: their space states bounds of shape (3,)"),
        (bounds([0.5] * 4, [0.5] * 4), "states a low bound that is not below the high one"),
    ],
)
def test_actions_beyond_a_stated_space_are_refused(stated: str, reason: str) -> None:
    with pytest.raises(CdredError) as caught:
        episode(action_space=stated)
    assert reason in str(caught.value)
