"""Wrappers from a suite's environment to the one that the learner sees."""

from __future__ import annotations

import functools
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box

from cdred.envs.tasks import FRAMES, PIXEL_SHAPE


class Repeat(gymnasium.Wrapper):
    """Apply each action `times` times and sum the rewards."""

    def __init__(self, env: gymnasium.Env, times: int) -> None:
        super().__init__(env)
        self._times = times

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        total = 0.0
        for _ in range(self._times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class Outermost(gymnasium.Wrapper):
    """Seed the first reset with `seed` when the caller names none, and with a random one without
    `seed`: simulators are built with seeds of their own."""

    def __init__(self, env: gymnasium.Env, seed: int | None) -> None:
        super().__init__(env)
        self._seed, self._started = seed, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is None and not self._started:
            seed = self._seed
            if seed is None:
                seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._started = True
        return self.env.reset(seed=seed, options=options)

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]
        """That by which Gymnasium made it: the environment with all its wrappers. None if it was
        made otherwise."""
        own = self.unwrapped.spec
        return own if own is not None and own.namespace == "cdred" else None


def observe_pixels(env: gymnasium.Env) -> gymnasium.Env:
    """Observe the last FRAMES rendered frames, uint8 of PIXEL_SHAPE."""
    # The wrapper renders after a reset of its own: from that state a free camera takes its place.
    env.reset(seed=0)
    env = wrappers.AddRenderObservation(env, render_only=True)
    env = wrappers.FrameStackObservation(env, FRAMES)
    return wrappers.TransformObservation(env, _channels_first, Box(0, 255, PIXEL_SHAPE, np.uint8))


def observe_state(env: gymnasium.Env, obs_dim: int) -> gymnasium.Env:
    """Observe (obs_dim,) in float32, unbounded: not every simulator keeps to its bounds."""
    space = Box(-np.inf, np.inf, (obs_dim,), np.float32)
    # A copy: an environment may use one array for all its observations.
    copied = functools.partial(np.array, dtype=np.float32)
    return wrappers.TransformObservation(env, copied, space)


def act_in_unit_box(env: gymnasium.Env) -> gymnasium.Env:
    """Take actions of float32 in [-1, 1]."""
    inside = env.action_space
    assert isinstance(inside, Box)
    if (inside.low != -1).any() or (inside.high != 1).any():
        # What is rescaled is rounded, at the ends to beyond the bounds that simulators may check.
        env = wrappers.TransformAction(env, functools.partial(_within, inside), inside)
    env = wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
    return wrappers.TransformAction(
        env,
        functools.partial(np.asarray, dtype=np.float32),
        Box(-1, 1, env.action_space.shape, np.float32),
    )


def _within(space: Box, action: Any) -> Any:
    return np.clip(np.asarray(action, space.dtype), space.low, space.high)


def _channels_first(frames: Any) -> Any:
    """(frames, height, width, 3) -> (frames * 3, height, width)."""
    return frames.transpose(0, 3, 1, 2).reshape(-1, *frames.shape[1:3])
