"""The kind of this machine, and the choice among its GPUs."""

from __future__ import annotations

import fcntl
import functools
import itertools
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any


def name() -> str:
    """The processor: the same program gives the same bits on the same kind."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        model = next(line for line in text.splitlines() if line.startswith("model name"))
        return f"{platform.machine()} {model.split(':', 1)[1].strip()}"
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()}".strip()


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
