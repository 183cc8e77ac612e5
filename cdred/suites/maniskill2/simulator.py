"""ManiSkill2's tasks. State observations need neither GPU nor Vulkan device: nothing is drawn."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.errors import CdredError
from cdred.suites import Simulator, Task
from cdred.suites.rendering import missing_library

if TYPE_CHECKING:
    import gymnasium

# What must be downloaded: the name that ManiSkill2's own command takes, and where it puts it.
_ASSETS = {
    "PickSingleYCB-v0": ("ycb", "mani_skill2_ycb/info_pick_v0.json"),
    "TurnFaucet-v0": ("partnet_mobility_faucet", "partnet_mobility/dataset"),
}


class ManiSkill2(Simulator):
    """ManiSkill2's environments; each reset builds the scene anew."""

    def build(self, task: Task, view: int | None) -> gymnasium.Env:
        """See Simulator.

        Each reset builds the scene anew: an episode depends on its seed and actions alone.
        Raises CdredError when a library, the assets or, with `view`, a Vulkan device are missing.
        """
        for reason in (missing_library("vulkan", "libvulkan1"), self.missing_assets(task)):
            if reason:
                raise CdredError(f"{task.simulator}: {reason}")
        if view is not None and (reason := cannot_render()):
            raise CdredError(f"{task.simulator}: {reason}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import gymnasium
            import mani_skill2.envs

            picture: dict[str, Any] = {}
            if view is not None:
                picture = {
                    "render_mode": "rgb_array", "renderer_kwargs": {"offscreen_only": True},
                    "render_camera_cfgs": {"width": view, "height": view},
                }  # fmt: skip

            class Rebuilt(gymnasium.Wrapper):
                """A new scene at each reset; the end of an episode is its time limit alone."""

                def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
                    with _drawing(view is not None):
                        return self.env.reset(
                            seed=seed, options={"reconfigure": True} | (options or {})
                        )

                def step(self, action: Any) -> Any:
                    observation, reward, _, truncated, info = self.env.step(action)
                    return observation, reward, False, truncated, info

            spec = mani_skill2.utils.registration.REGISTERED_ENVS[task.simulator]
            try:
                with _drawing(view is not None):
                    env = spec.make(
                        obs_mode="state", reward_mode="dense",
                        control_mode=task.control_mode, **picture,
                    )  # fmt: skip
            except FileNotFoundError:  # a download that was broken off
                reason = _download(_ASSETS[task.simulator][0], mani_skill2.ASSET_DIR)
                raise CdredError(f"{task.simulator}: {reason}") from None
        env.metadata = {**env.metadata, "render_fps": env.control_freq}
        return Rebuilt(env)

    def missing_assets(self, task: Task) -> str | None:
        if task.simulator not in _ASSETS:
            return None
        name, path = _ASSETS[task.simulator]
        folder = Path(os.environ.get("MS2_ASSET_DIR", "data"))  # as ManiSkill2 has it
        return None if (folder / path).exists() else _download(name, folder)

    def problems(self) -> Iterator[tuple[str, str]]:
        if reason := missing_library("vulkan", "libvulkan1"):
            yield "all", reason
        elif reason := cannot_render():
            yield "rgb and films", reason

    def cannot_film(self) -> str | None:
        return cannot_render()


def _download(name: str, folder: Path) -> str:
    return (
        f"its assets are not in {folder} (MS2_ASSET_DIR); "
        f"python -m mani_skill2.utils.download_asset {name}"
    )


@cache
def cannot_render() -> str | None:
    """The reason why nothing can be rendered on this machine, or None. It is found in a process of
    its own, since SAPIEN may crash where there is no Vulkan device."""
    probe = (
        "import sapien.core as s; e = s.Engine();"
        "e.set_renderer(s.SapienRenderer(offscreen_only=True)); c = e.create_scene();"
        "c.add_camera('c', 64, 64, 1, 0.01, 10).take_picture()"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True)
    return "needs a Vulkan device to be rendered, and there is none" if done.returncode else None


class _NoMaterial:
    """A material that ignores all that is set on it."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


class _NoRenderer:
    def __init__(self, **kwargs: Any) -> None:
        pass

    def create_material(self) -> _NoMaterial:
        return _NoMaterial()

    def set_log_level(self, level: str) -> None:
        pass


@contextmanager
def _drawing(rendered: bool) -> Iterator[None]:
    """Build scenes in this context. Unless `rendered`, SAPIEN is given no renderer meanwhile, and
    what only a renderer would see is left out: shapes, cameras and lights have no part in the
    physics.

    ManiSkill2 asks for a Vulkan device even for state observations, and has no option against it.
    """
    if rendered:
        yield
        return
    import sapien.core as sapien
    from mani_skill2.envs.sapien_env import BaseEnv

    class Engine(sapien.Engine):  # type: ignore[misc]
        def set_renderer(self, renderer: Any) -> None:
            pass

    add_ground = BaseEnv._add_ground
    changes: list[tuple[Any, str, Any]] = [
        (sapien, "Engine", Engine),
        (sapien, "SapienRenderer", _NoRenderer),
        (BaseEnv, "_add_ground", lambda self, altitude=0.0, render=True: add_ground(
            self, altitude, render=False)),
        (BaseEnv, "_setup_cameras", lambda self: None),
        (BaseEnv, "_setup_lighting", lambda self: None),
    ]  # fmt: skip
    for builder in (sapien.ActorBuilder, sapien.LinkBuilder):
        for name in dir(builder):
            if name.startswith("add_") and "visual" in name:
                changes.append((builder, name, lambda self, *args, **kwargs: self))
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


SIMULATOR = ManiSkill2()
