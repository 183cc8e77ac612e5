"""Devices and threads, on which the bits of a computation depend beside its inputs and code."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from typing import Any

from cdred.errors import CdredError


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


def select(kind: str, pick: Callable[[tuple[str, ...]], int] = lambda uuids: 0) -> Any:
    """Select the torch device of `auto`, `cpu` or `cuda`; of several GPUs the one whose index
    `pick` returns from their UUIDs. Raises CdredError if there is no such device."""
    import torch

    if kind not in ("auto", "cpu", "cuda"):
        raise CdredError(f"device: none is called {kind!r}; valid: auto, cpu, cuda")

    available = torch.cuda.is_available()
    if kind == "cuda" and not available:
        raise CdredError("params.yaml: compute.device: cuda: torch finds no CUDA device here")
    if not available or kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    uuids = tuple(str(torch.cuda.get_device_properties(k).uuid) for k in range(count))
    return torch.device("cuda", pick(uuids))


def send(tensor: Any, device: Any) -> Any:
    """A copy of a tensor of the host on a torch device. A CUDA device fetches it by itself, from
    pinned memory, while this process goes on."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def device_name(device: Any) -> str:
    """The name of a torch device's hardware."""
    import torch

    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
