"""DMControl's suite as Gymnasium environments, by shimmy."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from cdred.suites import Task
from cdred.suites.rendering import MujocoSimulator, importing_mujoco

if TYPE_CHECKING:
    import gymnasium

# dm_control while it steps, and its quadruped, are of a time before numpy 2.5.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="dm_control")
if not hasattr(np, "in1d"):
    np.in1d = np.isin  # type: ignore[assignment]  # the same for one dimension

# Its reset uploads the terrain to the graphics card, whether or not anything is to be seen.
_DRAWS_ANYWAY = ("quadruped escape",)


class DMControl(MujocoSimulator):
    """The suite through shimmy, its observations in one vector, in dm_control's own order: that of
    TD-MPC2 and of the demonstrations that others recorded."""

    def build(self, task: Task, view: int | None) -> gymnasium.Env:
        # A thread for each renderer has ended when the garbage collector waits for it.
        os.environ["DISABLE_RENDER_THREAD_OFFLOADING"] = "1"
        draws = view is not None or task.simulator in _DRAWS_ANYWAY
        with warnings.catch_warnings(), importing_mujoco(draws):
            warnings.simplefilter("ignore")  # glfw reports the missing display
            from dm_control import suite
            from shimmy.dm_control_compatibility import DmControlCompatibilityV0

            warnings.simplefilter("ignore")  # what they import turns all on
            domain, name = task.simulator.split()
            fixed = {"random": 0}  # lqr draws its physics when it is built; resets seed all else
            dm_env = suite.load(domain, name, task_kwargs=fixed)
            camera = 2 if domain == "quadruped" else 0
            size = {"height": view or 0, "width": view or 0, "camera_id": camera}
            env: gymnasium.Env = DmControlCompatibilityV0(dm_env, view and "rgb_array", size)
            env.metadata = {**env.metadata, "render_fps": 1 / dm_env.control_timestep()}
            env = _flattened(env, list(dm_env.observation_spec()))
            return _own_context(env, dm_env.physics) if draws else env

    def reordered(self, task: Task) -> bool:
        with warnings.catch_warnings(), importing_mujoco(task.simulator in _DRAWS_ANYWAY):
            warnings.simplefilter("ignore")
            from dm_control import suite

            warnings.simplefilter("ignore")
            names = list(suite.load(*task.simulator.split()).observation_spec())
        return names != sorted(names)


def _flattened(env: gymnasium.Env, names: list[str]) -> gymnasium.Env:
    """Observations of these names, one after the other. (FlattenObservation sorts them.)"""
    from gymnasium.spaces import Box, Dict
    from gymnasium.wrappers import TransformObservation

    spaces = env.observation_space
    assert isinstance(spaces, Dict)
    size = sum(int(np.prod(spaces[name].shape or ())) for name in names)
    space = Box(-np.inf, np.inf, (size,), np.float64)
    return TransformObservation(
        env, lambda obs: np.concatenate([np.ravel(obs[name]) for name in names]), space
    )


def _own_context(env: gymnasium.Env, physics: Any) -> gymnasium.Env:
    """Make the OpenGL context of `physics` current where `env` draws. dm_control does so too, but
    for contexts of others in this process, of which it knows nothing."""
    import gymnasium

    class OwnContext(gymnasium.Wrapper):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            physics.contexts.gl._platform_make_current()
            return self.env.reset(seed=seed, options=options)

        def render(self) -> Any:
            physics.contexts.gl._platform_make_current()
            return self.env.render()

    return OwnContext(env)


SIMULATOR = DMControl()
