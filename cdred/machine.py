"""What kind of machine this is, and its devices: what bits depend on beside inputs and code."""

from __future__ import annotations

import platform
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


def use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def device(wanted: str) -> Any:
    """The torch device of `auto`, `cpu` or `cuda`. Raises CdredError if there is no such."""
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise CdredError("params.yaml: compute.device: cuda: torch finds no CUDA device here")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def device_name(chosen: Any) -> str:
    import torch

    return "cpu" if chosen.type == "cpu" else torch.cuda.get_device_name(chosen)
