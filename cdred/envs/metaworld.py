"""Meta-World's tasks (version 3, the goal observed), seeded like any Gymnasium environment."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from cdred.envs.rendering import importing_mujoco
from cdred.envs.tasks import Task

if TYPE_CHECKING:
    import gymnasium


def simulator(task: Task, view: int | None) -> gymnasium.Env:
    """`task` at its own rate; with `view`, `render()` returns (view, view, 3) uint8.

    `reset(seed)` draws object and goal from that seed. Rewards are the benchmark's of version 2,
    as in the paper. `info["success"]` is whether the state is a success, as a number.
    """
    with warnings.catch_warnings(), importing_mujoco(view is not None):
        warnings.simplefilter("ignore")
        import gymnasium
        import numpy as np
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

        picture: dict[str, Any] = {}
        if view is not None:
            picture = {
                "render_mode": "rgb_array", "camera_name": "corner2", "width": view, "height": view,
            }  # fmt: skip
        env = ALL_V3_ENVIRONMENTS[task.simulator](reward_function_version="v2", **picture)
    if view is not None:  # where TD-MPC2 looks from: nearer than the default
        env.model.cam_pos[env.model.camera("corner2").id] = [0.75, 0.075, 0.7]
    # What the library does for its own "goal observable" classes, which take no camera.
    env._partially_observable = False
    del env.sawyer_observation_space
    env._set_task_called = True
    # Draw object and goal anew at each reset, from the environment's generator, not numpy's.
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True

    class Seeded(gymnasium.Wrapper):
        """`reset(seed)` alone is ignored by Meta-World, and this camera hangs upside down."""

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            if seed is not None:
                env.seed(seed)
            return self.env.reset(options=options)

        def render(self) -> Any:
            return np.flip(self.env.render(), (0, 1))  # type: ignore[arg-type]

    return Seeded(env)


def scripted_policy(task: Task) -> Any:
    """The benchmark's own policy for `task`: `get_action(obs)` with the observation (39,)."""
    with importing_mujoco(False):
        from metaworld.policies import ENV_POLICY_MAP

    return ENV_POLICY_MAP[task.simulator]()  # type: ignore[abstract]
