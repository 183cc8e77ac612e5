"""Environments as every stage uses them: one interface over the benchmarks."""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import TYPE_CHECKING, Any, SupportsFloat

from cdred.envs.tasks import OBS, find, not_installed
from cdred.errors import CdredError, nearest

if TYPE_CHECKING:
    import gymnasium

PIXELS, FRAMES = 64, 3  # of an `rgb` observation: its height and width, how many it stacks
PIXEL_SHAPE = (3 * FRAMES, PIXELS, PIXELS)


def make(
    task: str, obs: str = "state", seed: int | None = None, render_mode: str | None = None,
    render_size: int = 240,
) -> gymnasium.Env:  # fmt: skip
    """Build `task` (a name of `cdred.envs.tasks.TASKS`) with action repeat and time limit.

    Observations are float32 of shape (obs_dim,), or with `obs="rgb"` the last three frames, uint8
    of shape (9, 64, 64); actions are float32 in [-1, 1] of shape (action_dim,). An episode is
    truncated after the task's length in agent steps; `info["success"]` says, where the suite knows
    it, whether this state is a success. `seed` seeds the first reset: the same seed and actions
    give the same episode, whatever was played before. With `render_mode="rgb_array"`, `render()`
    returns (render_size, render_size, 3) uint8, `metadata["render_fps"]` of them a second.

    Raises CdredError for an unknown task or observation mode, naming the nearest, and for a suite,
    system library, asset or device that is missing on this machine.
    """
    import gymnasium as gym
    import numpy as np
    from gymnasium import wrappers

    spec = find(task)
    if obs not in OBS:
        raise CdredError(f"{task}: no observation mode is called {obs!r}; {nearest(obs, [*OBS])}")
    view = PIXELS if obs == "rgb" else render_size if render_mode else None

    class Repeat(gym.Wrapper):
        """Apply each action `spec.action_repeat` times and sum the rewards."""

        def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
            total = 0.0
            for _ in range(spec.action_repeat):
                observation, reward, terminated, truncated, info = self.env.step(action)
                total += float(reward)
                if terminated or truncated:
                    break
            return observation, total, terminated, truncated, info

    class FirstSeed(gym.Wrapper):
        """Seed the first reset with `seed` when the caller names none."""

        pending = seed

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
            chosen = self.pending if seed is None else seed
            self.pending = None
            return self.env.reset(seed=chosen, options=options)

    if reason := not_installed(spec.suite):
        raise CdredError(f"{task}: {reason}")
    suite = importlib.import_module(f"cdred.envs.{spec.suite}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # float64 bounds become float32, as asked for
        env: gym.Env = suite.simulator(spec, view)
        fps = env.metadata["render_fps"] / spec.action_repeat
        env.metadata = {**env.metadata, "render_fps": fps}
        env = Repeat(env)
        if obs == "rgb":
            env = wrappers.AddRenderObservation(env, render_only=True)
            env = wrappers.FrameStackObservation(env, FRAMES)
            env = wrappers.TransformObservation(
                env, _channels_first, gym.spaces.Box(0, 255, PIXEL_SHAPE, np.uint8)
            )
        else:
            # Unbounded: not every simulator keeps to the bounds that it declares.
            space = gym.spaces.Box(-np.inf, np.inf, (spec.obs_dim,), np.float32)
            env = wrappers.TransformObservation(env, np.float32, space)
        env = wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
        env = wrappers.TransformAction(
            env,
            functools.partial(np.asarray, dtype=np.float32),
            gym.spaces.Box(-1, 1, env.action_space.shape, np.float32),
        )
    return FirstSeed(wrappers.TimeLimit(env, spec.episode_length))


def _channels_first(frames: Any) -> Any:
    """(frames, height, width, 3) -> (frames * 3, height, width)."""
    return frames.transpose(0, 3, 1, 2).reshape(-1, *frames.shape[1:3])


def make_vec(
    task: str, count: int, obs: str = "state", parallel: bool = False
) -> gymnasium.vector.VectorEnv:
    """`count` of `task` side by side as a Gymnasium vector environment; see `make`.

    In this process, or with `parallel` each in one of its own: the same episodes either way.
    """
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    builders = [functools.partial(make, task, obs)] * count
    if parallel:
        # Not forked: a copy of a process that has threads (torch) may lock up.
        return AsyncVectorEnv(builders, context="spawn")
    return SyncVectorEnv(builders)
