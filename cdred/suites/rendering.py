"""Rendering by MuJoCo, and the system libraries that the simulators load."""

from __future__ import annotations

import contextlib
import ctypes.util
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from cdred.errors import CdredError
from cdred.suites import Simulator

# MuJoCo's OpenGL (MUJOCO_GL) -> the library that it loads and Debian's package of it.
_OPENGL = {
    "egl": ("EGL", "libegl1"),
    "osmesa": ("OSMesa", "libosmesa6"),
    "glfw": ("GL", "libgl1"),
}


def missing_library(name: str, package: str) -> str | None:
    """The command that installs a system library if it is missing, else None."""
    if ctypes.util.find_library(name):
        return None
    return f"lib{name} is not installed; as root: apt-get install -y {package}"


def opengl() -> str:
    """Choose MuJoCo's OpenGL: MUJOCO_GL's, else EGL where there is a GPU, else one in software.

    Raises CdredError naming the library that is missing.
    """
    gpu = Path("/dev/nvidia0").exists() or any(Path("/dev/dri").glob("renderD*"))
    requested = os.environ.get("MUJOCO_GL", "").lower()
    for name in (requested,) if requested else ("egl", "osmesa") if gpu else ("osmesa", "egl"):
        if name not in _OPENGL:
            raise CdredError(f"MUJOCO_GL={name}: not one of {', '.join(_OPENGL)}")
        if not missing_library(*_OPENGL[name]):
            if name == "glfw" and not _has_display():
                raise CdredError("MUJOCO_GL=glfw: there is no display; egl and osmesa need none")
            return name
    raise CdredError(f"nothing can be rendered: {missing_library(*_OPENGL[requested or 'osmesa'])}")


@cache
def _has_display() -> bool:
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(glfw.init())


@contextlib.contextmanager
def importing_mujoco(drawn: bool) -> Iterator[None]:
    """Import modules that need MuJoCo in this context: it loads OpenGL when it is imported.

    If something is to be `drawn`, that is `opengl()` from now on in this process; if not, none is
    loaded until somebody draws, whatever a user's MUJOCO_GL is.
    """
    if drawn:
        load_triton_first()
        os.environ["MUJOCO_GL"] = chosen = opengl()
        _log_choice(chosen)
        with _root_logger_as_it_is():
            yield
        return
    requested = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    try:
        with _root_logger_as_it_is():
            yield
    finally:
        if requested is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = requested
        _draw_later()


def load_triton_first() -> None:
    """Load Triton, which torch.optim imports, before Mesa: they bring an LLVM each, and a process
    that loads it after Mesa ends in a segmentation fault."""
    with contextlib.suppress(ImportError):
        import triton._C.libtriton  # noqa: F401


@contextlib.contextmanager
def _root_logger_as_it_is() -> Iterator[None]:
    """Leave the root logger to the user: dm_control logs while it is imported, by absl, which gives
    that logger a handler, after which `logging.basicConfig` does nothing."""
    before = logging.root.handlers[:]
    try:
        yield
    finally:
        logging.root.handlers[:] = before


def _draw_later() -> None:
    """Have the modules that were imported without OpenGL load it when somebody first draws."""
    gl_context = sys.modules.get("mujoco.gl_context")
    if gl_context is not None and "GLContext" not in vars(gl_context):

        def attribute(name: str) -> Any:
            if name == "GLContext":
                _load_again(gl_context)
            if name in vars(gl_context):
                return vars(gl_context)[name]
            raise AttributeError(f"module {gl_context.__name__!r} has no attribute {name!r}")

        gl_context.__getattr__ = attribute  # type: ignore[method-assign]
    render: Any = sys.modules.get("dm_control._render")
    if render is not None and render.BACKEND in render.constants.NO_RENDERER:

        def renderer(*args: Any, **kwargs: Any) -> Any:
            _load_again(render)
            return render.Renderer(*args, **kwargs)

        render.Renderer = renderer


def _load_again(module: ModuleType) -> None:
    load_triton_first()
    with warnings.catch_warnings(), _root_logger_as_it_is():
        warnings.simplefilter("ignore")  # glfw reports the missing display
        importlib.reload(module)


def separate_viewers() -> None:
    """Have every viewer of Gymnasium's MuJoCo environments keep to its own OpenGL context.

    OpenGL draws into, and frees from, whatever context is current. Gymnasium makes a viewer's
    current when it builds it and never again: the pictures of two environments in a process were
    drawn in one context, and black as soon as one of them was collected.
    """
    module = sys.modules.get("gymnasium.envs.mujoco.mujoco_rendering")
    if module is None or module.OffScreenViewer.__module__ == __name__:
        return

    class Viewer(module.OffScreenViewer):  # type: ignore[name-defined, misc]
        def render(self, *args: Any, **kwargs: Any) -> Any:
            self.make_context_current()
            return super().render(*args, **kwargs)

        def free(self) -> None:
            if con := self.__dict__.pop("con", None):  # once: by `close` or by the collector
                self.make_context_current()
                con.free()
                super().free()

        def close(self) -> None:  # Gymnasium's ends GLFW for all
            self.free()

    module.OffScreenViewer = Viewer  # type: ignore[attr-defined]


@cache
def _log_choice(chosen: str) -> None:
    logging.getLogger("cdred").info(f"MuJoCo renders by {chosen} (MUJOCO_GL)")


class MujocoSimulator(Simulator):
    """A suite that MuJoCo simulates and renders."""

    def problems(self) -> Iterator[tuple[str, str]]:
        try:
            opengl()
        except CdredError as exc:
            yield "rgb and films", str(exc)

    def render_variables(self) -> dict[str, str]:
        return {"MUJOCO_GL": opengl()}
