"""Gymnasium environments of one's own, checked for what the learner relies on."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from cdred import plugins
from cdred.errors import CdredError
from cdred.suites import Simulator, Sizes, Task
from cdred.suites.rendering import load_triton_first, opengl, separate_viewers

if TYPE_CHECKING:
    import gymnasium

FRAMES_PER_SECOND = 30  # of a film, where the environment's metadata has no `render_fps`


class OwnSimulator(Simulator):
    """The environment that the task's function returns, its observations flattened."""

    def build(self, task: Task, view: int | None) -> gymnasium.Env:
        """Raises CdredError when the function or its environment cannot be used."""
        import gymnasium
        import numpy as np
        from gymnasium.spaces import Box

        class Resized(gymnasium.Wrapper):
            """Pictures of (view, view, 3), by the nearest pixel."""

            def render(self) -> Any:
                picture, size = _picture(task.simulator, self.env), view or 1
                rows, columns = (np.arange(size) * n // size for n in picture.shape[:2])
                return picture[rows][:, columns]

        load_triton_first()  # whatever the task imports or renders by
        env = _call(task.simulator, None if view is None else "rgb_array")
        separate_viewers()
        observations = env.observation_space
        if not _can_be_rescaled(env.action_space):
            raise CdredError(
                f"{task.simulator}: its action space is {_in_a_line(env.action_space)}; it must be "
                f"a Box of one dimension with finite bounds, of floating-point numbers, each low "
                f"below its high by a finite number"
            )
        env = _checked(task.simulator, env)
        if not isinstance(observations, Box) or len(observations.shape) != 1:
            env = gymnasium.wrappers.FlattenObservation(env)
        if not isinstance(env.observation_space, Box):
            raise CdredError(
                f"{task.simulator}: its observation space is {_in_a_line(observations)}, which "
                f"cannot be flattened into numbers"
            )
        env.metadata = {"render_fps": FRAMES_PER_SECOND, **env.metadata}
        return env if view is None else Resized(env)

    def sizes(self, task: Task) -> Sizes:
        return _sizes(task, plugins.load(task.simulator))

    def render_variables(self) -> dict[str, str]:
        try:
            return {"MUJOCO_GL": opengl()}  # in case MuJoCo is what renders
        except CdredError:
            return {}


def _call(reference: str, render_mode: str | None) -> gymnasium.Env:
    """The function's environment; to render, it must take `render_mode`."""
    import gymnasium

    function = plugins.trust(reference)
    try:
        takes_mode = "render_mode" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise CdredError(f"{reference}: not a function that returns an environment") from None
    if render_mode and not takes_mode:
        raise CdredError(f"{reference}: takes no render_mode, so it cannot be rendered")
    env = function(render_mode=render_mode) if takes_mode else function()
    if not isinstance(env, gymnasium.Env):
        raise CdredError(f"{reference}: returned {type(env).__name__}, not a Gymnasium environment")
    return env


def _checked(reference: str, env: gymnasium.Env) -> gymnasium.Env:
    """Refuses, where they appear, observations of another shape than the space's and rewards that
    are not finite."""
    import gymnasium
    import numpy as np

    class Checked(gymnasium.Wrapper):
        steps = 0

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.steps = 0
            observation, info = self.env.reset(seed=seed, options=options)
            self.check(observation)
            return observation, info

        def step(self, action: Any) -> Any:
            self.steps += 1
            observation, reward, *rest = self.env.step(action)
            self.check(observation)
            if not np.isfinite(float(reward)):
                raise CdredError(f"{reference}: its reward is {reward} in step {self.steps}")
            return observation, reward, *rest

        def check(self, observation: Any) -> None:
            shape, stated = np.shape(observation), self.env.observation_space.shape
            if stated is not None and shape != stated:
                raise CdredError(
                    f"{reference}: an observation's shape is {shape} after {self.steps} "
                    f"steps; its observation space states {stated}"
                )

    return Checked(env)


def _picture(reference: str, env: gymnasium.Env) -> Any:
    """The picture (height, width, 3) of an environment as it is."""
    import numpy as np

    try:
        picture = np.asarray(env.render())
    except NotImplementedError:  # Gymnasium's own, of an environment that has none
        picture = np.asarray(None)
    if picture.shape[2:] != (3,):
        raise CdredError(
            f"{reference}: its environment cannot be rendered: by render_mode 'rgb_array' its "
            f"`render` must return an array (height, width, 3)"
        )
    return picture


def _can_be_rescaled(space: gymnasium.Space[Any]) -> bool:
    """Tell whether every number in [-1, 1] has one of its own among a space's actions."""
    import numpy as np
    from gymnasium.spaces import Box

    if not isinstance(space, Box) or len(space.shape) != 1 or space.dtype.kind != "f":
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # infinite bounds have no finite width
        width = space.high - space.low
    return bool((np.isfinite(width) & (width > 0)).all())


def _in_a_line(space: gymnasium.Space[Any]) -> str:
    return " ".join(str(space).split())[:200]


@cache
def _sizes(task: Task, function: object) -> Sizes:
    """The sizes of the task that is this function's, which a notebook may have loaded again."""
    env = SIMULATOR.build(task, None)
    try:
        length = _episode_length(env)
        if length is None:
            raise CdredError(
                f"{task.simulator}: its episodes have no limit; give gymnasium.make "
                f"max_episode_steps, or wrap the environment in gymnasium.wrappers.TimeLimit"
            )
        (obs_dim,), (action_dim,) = env.observation_space.shape, env.action_space.shape  # type: ignore[misc]
        return Sizes(obs_dim, action_dim, length)
    finally:
        env.close()


def _episode_length(env: gymnasium.Env) -> int | None:
    """The limit of the environment's spec, or of a TimeLimit around one that has no spec."""
    if env.spec is not None and env.spec.max_episode_steps:
        return env.spec.max_episode_steps
    limit = "_max_episode_steps"  # TimeLimit's
    return int(env.get_wrapper_attr(limit)) if env.has_wrapper_attr(limit) else None


SIMULATOR = OwnSimulator()
