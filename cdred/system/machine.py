"""The kind of this machine, and its devices: what bits depend on beside inputs and code."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import itertools
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from cdred.errors import CdredError


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
    """Whether this machine has NVIDIA's driver; without torch, for the engines. /dev/dxg: WSL."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))


def prepare(threads: int) -> None:
    """Compute with this many threads, whatever the variables of an engine or a user say, and keep
    the memory of large tensors for the next ones."""
    _keep_freed_memory()
    for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):  # read when numpy and torch are imported
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed. By default it gives large blocks back to the kernel,
    whose clearing of thousands of new pages takes up to a tenth of an update at the paper's sizes.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
        mallopt(m_mmap_max, 0)  # no mapping of its own for a block
        mallopt(m_trim_threshold, 2**31 - 1)


def device(kind: str) -> Any:
    """The torch device of `auto`, `cpu` or `cuda`. Raises CdredError if there is no such."""
    import torch

    available = torch.cuda.is_available()
    if kind == "cuda" and not available:
        raise CdredError("params.yaml: compute.device: cuda: torch finds no CUDA device here")
    if not available or kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    uuids = tuple(str(torch.cuda.get_device_properties(k).uuid) for k in range(count))
    return torch.device("cuda", take_gpu(uuids))


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


def device_name(chosen: Any) -> str:
    import torch

    return "cpu" if chosen.type == "cpu" else torch.cuda.get_device_name(chosen)
