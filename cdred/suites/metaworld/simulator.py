"""Meta-World's tasks (version 3, the goal observed), seeded like any Gymnasium environment."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from cdred.suites import Task
from cdred.suites.rendering import MujocoSimulator, importing_mujoco, separate_viewers

if TYPE_CHECKING:
    import gymnasium


class MetaWorld(MujocoSimulator):
    """Meta-World's environments, its rewards those of version 2, as in the paper."""

    def build(self, task: Task, view: int | None) -> gymnasium.Env:
        """See Simulator.

        `reset(seed)` draws object and goal from that seed. `info["success"]` is whether the state
        is a success, as a number.
        """
        with warnings.catch_warnings(), importing_mujoco(view is not None):
            warnings.simplefilter("ignore")
            import gymnasium
            import numpy as np
            from metaworld.env_dict import ALL_V3_ENVIRONMENTS

            picture: dict[str, Any] = {}
            if view is not None:
                picture = {"render_mode": "rgb_array", "camera_name": "corner2"}
                picture |= {"width": view, "height": view}
            env = ALL_V3_ENVIRONMENTS[task.simulator](reward_function_version="v2", **picture)
        if view is not None:
            separate_viewers()
            # Where TD-MPC2 looks from: nearer than the default
            env.model.cam_pos[env.model.camera("corner2").id] = [0.75, 0.075, 0.7]
        # What the library does for its own "goal observable" classes, which take no camera.
        env._partially_observable = False
        del env.sawyer_observation_space
        env._set_task_called = True
        # Draw object and goal anew at each reset, from the environment's generator, not numpy's.
        env._freeze_rand_vec = False
        env.seeded_rand_vec = True

        class Seeded(gymnasium.Wrapper):
            """Seeding, which Meta-World's `reset(seed)` ignores, and its camera turned upright."""

            def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
                if seed is not None:
                    env.seed(seed)
                return self.env.reset(options=options)

            def render(self) -> Any:
                return np.flip(self.env.render(), (0, 1))  # type: ignore[arg-type]

        return Seeded(env)


SIMULATOR = MetaWorld()
