"""A recorded episode of any format, and the rules by which it becomes one of a task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.errors import CdredError

REAL = "biuf"  # the kinds of numpy's dtypes that hold real numbers
ROUNDING = 1e-5  # by which an action may leave [-1, 1]
MOST_SEED = 2**63 - 1
MOST_DIMENSIONS = 6  # whose sizes a message tells
RANGES = ((0, 255), (0, 1), (-1, 1))  # of pixels, by convention


@dataclass(frozen=True)
class Expected:
    """The demands on an episode of a recording: of which task and observation mode, how many
    recorded steps make one of the task's (`stride`), and of at least how many of these
    (`horizon`)."""

    task: str
    obs: str = "state"
    stride: int = 1
    horizon: int = 1

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return PIXEL_SHAPE if self.obs == "rgb" else (find(self.task).obs_dim,)

    @property
    def action_shape(self) -> tuple[int, ...]:
        return (find(self.task).action_dim,)

    @property
    def steps(self) -> int:
        """The steps of the longest episode."""
        return find(self.task).episode_length


class _UnfitError(Exception):
    """The reason why an episode is refused."""


@dataclass(frozen=True)
class Recorded:
    """An episode as a reader yields it; None for what was not recorded.

    Its arrays are numbers, arrays, or whatever has a `shape` and a `dtype` and becomes an array
    when it is asked for. `success`: of the last state, or of each. `ends`: by field, whether the
    episode ended at each step. `space`, `action_space`: those of its observations and actions, as
    Minari writes them.
    `success_once`: of any state, where `success` does not tell.
    """

    obs: Any
    action: Any
    reward: Any = None
    success: Any = None
    seed: Any = None
    ends: tuple[tuple[str, Any], ...] = ()
    space: Any = None
    action_space: Any = None
    success_once: Any = None

    def episode(self, where: str, index: int, expected: Expected) -> Episode:
        """The episode; rewards that were not recorded become NaN, a missing seed its index.

        Raises CdredError, naming the place and the field, unless it fits what is expected: shapes,
        real and finite numbers, pixels of whole numbers from 0 to 255 or of a range that its space
        states, actions in [-1, 1] or the bounds that theirs states, as many steps as an episode of
        the task may have, no end before the last.
        """
        try:
            return self._episode(index, expected)
        except _UnfitError as exc:
            task = f"{expected.task} ({expected.obs})"
            raise CdredError(f"{where}: does not fit {task}: {exc}") from None

    def _episode(self, index: int, expected: Expected) -> Episode:
        obs = _described("observation", self.obs, expected.obs_shape)
        action = _described("action", self.action, expected.action_shape)
        steps = action.shape[0]
        _check_steps(steps, expected)
        _check_count("observations", obs.shape[0], steps + 1)
        actions = _in_unit_box(_finite("actions", action), self.action_space)
        if (far := float(np.abs(actions).max())) > 1 + ROUNDING:
            raise _UnfitError(f"actions: one of {far:g}, outside [-1, 1]")
        for field, value in self.ends:
            ends = np.flatnonzero(_flags(field, value, (steps,)))
            if len(ends) and ends[0] < steps - 1:
                raise _UnfitError(f"{field}: it ends after step {ends[0] + 1} of {steps}")
        observations = (
            _pixels(obs, self.space) if expected.obs == "rgb" else _finite("observations", obs)
        )
        success = once = None
        if self.success is not None:
            flags = _flags("success", self.success, (1, steps, steps + 1))
            success, once = bool(flags[-1]), bool(flags.any())
        if self.success_once is not None:
            once = bool(_flags("success_once", self.success_once, (1,))[0])
        seed = index if self.seed is None else _seed(self.seed)
        return Episode(observations, actions, _rewards(self.reward, steps), success, seed, once)


def _described(what: str, value: Any, shape: tuple[int, ...]) -> Any:
    """A value whose rows are real numbers of a shape. It is not read yet."""
    value = _real(f"{what}s", value)
    if len(value.shape) > MOST_DIMENSIONS:
        raise _UnfitError(f"{what}s have {len(value.shape)} dimensions, not {len(shape) + 1}")
    if len(value.shape) != len(shape) + 1 or tuple(value.shape[1:]) != shape:
        raise _UnfitError(f"an {what}'s shape is {tuple(value.shape[1:])}, not {shape}")
    return value


def _real(field: str, value: Any) -> Any:
    if value is None:
        raise _UnfitError(f"{field}: missing")
    value = value if hasattr(value, "dtype") else np.asarray(value)
    if value.dtype.kind not in REAL:
        raise _UnfitError(f"{field}: {value.dtype}, not real numbers")
    return value


def _check_count(field: str, count: int, expected: int) -> None:
    if count != expected:
        raise _UnfitError(f"{field} are {count}, not {expected}")


def _check_steps(steps: int, expected: Expected) -> None:
    """Raise _UnfitError unless the steps are as many as an episode of the task may have."""
    left = steps // expected.stride
    counted = f"{steps} steps" + (f", {left} by stride {expected.stride}" * (expected.stride > 1))
    if left < expected.horizon:
        raise _UnfitError(f"{counted}, less than the horizon of {expected.horizon}")
    if left > expected.steps:
        raise _UnfitError(
            f"{counted}, an episode of the task has {expected.steps}; of a recording at another "
            f"rate `stride` reads every so many-th"
        )


def _finite(field: str, value: Any) -> NDArray[Any]:
    """An array of 32-bit numbers, all finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.asarray(value).astype(np.float32)
    finite = np.isfinite(numbers).reshape(len(numbers), -1).all(1)
    if not finite.all():
        raise _UnfitError(f"{field}: a number that is not finite in step {int(finite.argmin())}")
    return numbers


def _pixels(value: Any, space: Any) -> NDArray[Any]:
    """Bytes. Pixels in [0, 1] that nobody states to be such cannot be told from very dark ones."""
    low, high = _range(space) if value.dtype.kind == "f" else (0, 255)
    if (low, high) not in RANGES:
        raise _UnfitError(
            f"observations: pixels as {value.dtype}; whole numbers from 0 to 255 are read, or of a "
            f"Minari dataset those whose space is from 0 or -1 to 1"
        )
    pixels = np.asarray(value)
    if not (low <= pixels.min() and pixels.max() <= high):  # nor where one is not a number
        raise _UnfitError(
            f"observations: pixels from {pixels.min():g} to {pixels.max():g}, outside [{low:g}, "
            f"{high:g}]"
        )
    if pixels.dtype.kind == "f":
        pixels = np.rint((pixels.astype(np.float64) - low) * (255 / (high - low)))
    return pixels.astype(np.uint8)


def _in_unit_box(actions: NDArray[Any], space: Any) -> NDArray[Any]:
    """Actions (T, A) as a learner takes them, from -1 at the low bounds of their space to 1 at the
    high ones; as they are where no space of such bounds is stated."""
    low, high = _bounds(space)
    if not {low.shape, high.shape} <= {(), actions.shape[1:]}:
        raise _UnfitError(f"actions: their space states bounds of shape {low.shape}")
    stated = np.isfinite(low).all() and np.isfinite(high).all()
    if not stated or ((low == -1).all() and (high == 1).all()):
        return actions
    if not (low < high).all():
        raise _UnfitError("actions: their space states a low bound that is not below the high one")
    return (2 * (actions - low) / (high - low) - 1).astype(np.float32)


def _bounds(space: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The bounds of a space; what is not stated is not a number."""
    described = json.loads(space) if isinstance(space, str) else {}
    low, high = (np.asarray(described.get(key, np.nan), float) for key in ("low", "high"))
    return low, high


def _range(space: Any) -> tuple[float, float]:
    """The bounds of a space, if they are the same of all its numbers; else not a number."""
    low, high = map(np.unique, _bounds(space))
    return (float(low[0]), float(high[0])) if len(low) == len(high) == 1 else (np.nan, np.nan)


def _rewards(value: Any, steps: int) -> NDArray[Any]:
    """As recorded: all finite, or none of them known."""
    if value is None:
        return np.full(steps, np.nan, np.float32)
    value = _real("rewards", value)
    if tuple(value.shape) not in ((steps,), (steps, 1)):
        raise _UnfitError(_other_shape("rewards", value, steps))
    array = np.asarray(value).reshape(-1)
    if np.isnan(array).all():
        return array.astype(np.float32)
    return _finite("rewards", array)


def _other_shape(field: str, value: Any, count: int) -> str:
    """The fault of a value that should be so many numbers in a row."""
    if len(value.shape) < 2:
        return f"{field} are {value.shape[0] if value.shape else 1}, not {count}"
    return f"{field} have {len(value.shape)} dimensions, not one of {count} numbers"


def _flags(field: str, value: Any, counts: tuple[int, ...]) -> NDArray[Any]:
    """Flags, as many as one of `counts`."""
    value = _real(field, value)
    if value.shape not in ((), *((count,) for count in counts), *((count, 1) for count in counts)):
        raise _UnfitError(_other_shape(field, value, counts[-1]))
    flags = np.asarray(value).reshape(-1)
    if (wrong := ~np.isin(flags, (0, 1))).any():
        raise _UnfitError(f"{field}: {flags[wrong.argmax()]}, neither true nor false")
    return flags.astype(bool)


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise _UnfitError(f"seed: a {type(value).__name__}, not a whole number")
    if not 0 <= value <= MOST_SEED:
        raise _UnfitError("seed: not from 0 to 2^63 - 1")
    return int(value)


def strided(e: Episode, stride: int) -> Episode:
    """Keep every `stride`-th observation, the mean of actions in between, the sum of rewards."""
    if stride == 1:
        return e
    count = len(e.action) // stride
    end = count * stride
    action = e.action[:end].reshape(count, stride, -1).mean(1)
    reward = e.reward[:end].reshape(count, stride).sum(1)
    return Episode(e.obs[: end + 1 : stride], action, reward, e.success, e.seed, e.success_once)
