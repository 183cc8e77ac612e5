"""Environments as every stage uses them: float32 vector observations, actions in [-1, 1]."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, SupportsFloat

from cdred.envs.tasks import TASKS

if TYPE_CHECKING:
    import gymnasium


def make(
    task: str, obs: str = "state", seed: int | None = None, render_mode: str | None = None,
    render_size: int = 240,
) -> gymnasium.Env:  # fmt: skip
    """Build `task` (a name of `cdred.envs.tasks.TASKS`) with action repeat and time limit.

    Observations are float32 of shape (obs_dim,), actions float32 in [-1, 1] of shape (action_dim,);
    an episode is truncated after the task's length in agent steps. `seed` seeds the first reset:
    the same seed and actions give the same episode. With `render_mode="rgb_array"`, `render()`
    returns (render_size, render_size, 3) uint8, `metadata["render_fps"]` of them a second.

    Raises ValueError for an observation mode that the suite does not offer.
    """
    import functools

    import gymnasium as gym
    import numpy as np
    from gymnasium import wrappers

    spec = TASKS[task]
    if obs != "state":
        raise ValueError(f"observation mode {obs!r} of {task}: only 'state' is supported")
    # Vector observations need no renderer, and Mesa's, once loaded, makes a later import of Triton
    # (torch.optim imports it) end in a segmentation fault: both bring their own LLVM. So the choice
    # of a renderer counts only where something is rendered.
    chosen = os.environ.get("MUJOCO_GL")
    if render_mode is None:
        os.environ["MUJOCO_GL"] = "disable"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # glfw reports the missing display
            from dm_control import suite
            from shimmy.dm_control_compatibility import DmControlCompatibilityV0
    finally:
        if chosen is None:
            os.environ.pop("MUJOCO_GL", None)
        else:
            os.environ["MUJOCO_GL"] = chosen

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

    fixed = {"random": 0}  # lqr draws its physics when it is built; resets seed all else
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # float64 bounds become float32, as asked for
        simulator = suite.load(spec.domain, spec.task, task_kwargs=fixed)
        camera = 2 if spec.domain == "quadruped" else 0
        view = {"height": render_size, "width": render_size, "camera_id": camera}
        env: gym.Env = DmControlCompatibilityV0(simulator, render_mode, view)
        fps = 1 / (simulator.control_timestep() * spec.action_repeat)
        env.metadata = {**env.metadata, "render_fps": fps}
        env = Repeat(env)
        env = wrappers.FlattenObservation(env)
        env = wrappers.DtypeObservation(env, np.float32)
        env = wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
        env = wrappers.TransformAction(
            env,
            functools.partial(np.asarray, dtype=np.float32),
            gym.spaces.Box(-1, 1, env.action_space.shape, np.float32),
        )
    return FirstSeed(wrappers.TimeLimit(env, spec.episode_length))
