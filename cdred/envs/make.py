"""Building environments as every stage uses them: one interface over the suites."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cdred import suites
from cdred.envs.tasks import OBS, PIXELS, find
from cdred.errors import CdredError, nearest, reason

if TYPE_CHECKING:
    import gymnasium


def make(
    task: str, obs: str = "state", seed: int | None = None, render_mode: str | None = None,
    render_size: int = 240,
) -> gymnasium.Env:  # fmt: skip
    """Build `task` (see `cdred.envs.tasks`) with action repeat and time limit.

    Observations are float32 of shape (obs_dim,), or with `obs="rgb"` the last three frames, uint8
    of shape (9, 64, 64); actions are float32 in [-1, 1] of shape (action_dim,). An episode is
    truncated after the task's length in agent steps; `info["success"]` is, where the suite knows
    it, whether this state is a success. `seed` seeds the first reset: the same seed and actions
    give the same episode, whatever was played before. With `render_mode="rgb_array"`, `render()`
    returns (render_size, render_size, 3) uint8, `metadata["render_fps"]` of them a second; with
    `obs="rgb"` it is (64, 64, 3), what is observed.

    Raises CdredError for an unknown task, observation or render mode, naming the nearest, and for a
    suite, system library, asset or device that is missing on this machine.
    """
    from gymnasium.wrappers import TimeLimit

    from cdred.envs import wrappers

    spec = find(task)
    if obs not in OBS:
        raise CdredError(f"{task}: no observation mode is called {obs!r}; {nearest(obs, [*OBS])}")
    if render_mode not in (None, "rgb_array"):
        raise CdredError(f"{task}: no render mode is called {render_mode!r}; valid: rgb_array")
    if reason := suites.not_installed(spec.suite):
        raise CdredError(f"{task}: {reason}")
    view = PIXELS if obs == "rgb" else render_size if render_mode else None
    simulator = suites.simulator(spec.suite)
    with warnings.catch_warnings(), _rendering(task, view):
        warnings.simplefilter("ignore")  # float64 bounds become float32, as asked for
        env = simulator.build(spec, view)
        fps = env.metadata["render_fps"] / spec.action_repeat
        env.metadata = {**env.metadata, "render_fps": fps}
        env = wrappers.Repeat(env, spec.action_repeat)
        if obs == "rgb":
            env = wrappers.observe_pixels(env)
        else:
            env = wrappers.observe_state(env, spec.obs_dim)
        env = wrappers.act_in_unit_box(env)
    return wrappers.Outermost(TimeLimit(env, spec.episode_length), seed)


@contextlib.contextmanager
def _rendering(task: str, view: int | None) -> Iterator[None]:
    """Turn what stands between a simulator and its first picture into a line."""
    try:
        yield
    except Exception as exc:
        if view is None or isinstance(exc, CdredError):
            raise
        by = f" by MUJOCO_GL={os.environ['MUJOCO_GL']}" if "MUJOCO_GL" in os.environ else ""
        raise CdredError(f"{task}: cannot be rendered{by}: {reason(exc)}") from exc


def make_vec(
    task: str, count: int, obs: str = "state", parallel: bool = False
) -> gymnasium.vector.VectorEnv:
    """Build `count` of `task` side by side as a Gymnasium vector environment; see `make`.

    In this process, or with `parallel` each in one of its own: the same episodes either way.
    """
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    builders = [functools.partial(make, task, obs)] * count
    if parallel:
        # Not forked: a copy of a process that has threads (torch) may lock up.
        return AsyncVectorEnv(builders, context="spawn")
    return SyncVectorEnv(builders)
