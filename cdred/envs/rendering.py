"""What draws pictures here, and the system libraries that the simulators load."""

from __future__ import annotations

import contextlib
import ctypes.util
import logging
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cdred.errors import CdredError

# MuJoCo's OpenGL (MUJOCO_GL) -> the library that it loads and Debian's package of it.
_OPENGL = {
    "egl": ("EGL", "libegl1"),
    "osmesa": ("OSMesa", "libosmesa6"),
    "glfw": ("GL", "libgl1"),
}


def missing_library(name: str, package: str) -> str | None:
    """How to install the library if it is not there, else None."""
    if ctypes.util.find_library(name):
        return None
    return f"lib{name} is not installed; as root: apt-get install -y {package}"


def opengl() -> str:
    """MuJoCo's OpenGL: what MUJOCO_GL says, else EGL where there is a GPU, else in software.

    Raises CdredError naming the library that is missing.
    """
    gpu = Path("/dev/nvidia0").exists() or any(Path("/dev/dri").glob("renderD*"))
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    for name in (wanted,) if wanted else ("egl", "osmesa") if gpu else ("osmesa", "egl"):
        if name not in _OPENGL:
            raise CdredError(f"MUJOCO_GL={name}: not one of {', '.join(_OPENGL)}")
        if not missing_library(*_OPENGL[name]):
            return name
    raise CdredError(f"nothing can be rendered: {missing_library(*_OPENGL[wanted or 'osmesa'])}")


@contextlib.contextmanager
def importing_mujoco(drawn: bool) -> Iterator[None]:
    """Import what needs MuJoCo in here, as it loads the OpenGL of MUJOCO_GL when it is imported.

    If something is to be `drawn`, that is `opengl()` from now on in this process; if not, none is
    loaded, whatever a user's MUJOCO_GL says.
    """
    if drawn:
        # Mesa and Triton (which torch.optim imports) bring an LLVM each. Triton loaded first, both
        # work; a process that loads it after Mesa ends in a segmentation fault.
        with contextlib.suppress(ImportError):
            import triton._C.libtriton  # noqa: F401
        os.environ["MUJOCO_GL"] = chosen = opengl()
        _say(chosen)
        yield
        return
    wanted = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    try:
        yield
    finally:
        if wanted is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = wanted


@cache
def _say(chosen: str) -> None:
    logging.getLogger("cdred").info(f"MuJoCo renders by {chosen} (MUJOCO_GL)")
