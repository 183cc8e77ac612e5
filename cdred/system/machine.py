"""The kind of this machine, and the choice among its GPUs."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import itertools
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any


def name() -> str:
    """The processor: the same program gives the same bits on the same kind."""
    return f"{platform.machine()} {_cpuinfo('model name') or platform.processor()}".strip()


def kind() -> str:
    """A short name for the processor with its instructions, for programs that are compiled for it:
    a checkout may be shared by several."""
    own = f"{name()} {_cpuinfo('flags') or _cpuinfo('Features')}"
    return hashlib.sha256(own.encode()).hexdigest()[:12]


def _cpuinfo(key: str) -> str:
    """The first value of a key in /proc/cpuinfo, or nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    values = (line.split(":", 1)[1] for line in text.splitlines() if line.startswith(key))
    return next(values, "").strip()


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def has_nvidia() -> bool:
    """Tell whether NVIDIA's driver is here; without torch, for the engines. /dev/dxg: WSL."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))


@functools.cache
def take_gpu(uuids: tuple[str, ...]) -> int:
    """The index of the GPU among `uuids` that the fewest processes of this user took, ours until
    this process ends.

    Engines count GPUs but name none (Snakemake's `resources: gpu`): as long as no more jobs run
    than there are GPUs, each has its own. Locks end with their process, and lie in the folder for
    temporary files, which containers share.
    """
    for share in itertools.count():
        for index, uuid in enumerate(uuids):
            file = Path(tempfile.gettempdir()) / f"cdred-{os.getuid()}-gpu-{uuid}-{share}.lock"
            held = file.open("a")
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.close()
                continue
            _HELD.append(held)
            return index
    raise AssertionError("unreachable")


_HELD: list[Any] = []  # open until the process ends
