"""The options that change rounding for speed; docs/performance.md has what they gain."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

import torch

from cdred.learning.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


def matrix_precision(s: Settings, device: torch.device) -> AbstractContextManager[Any]:
    """Matrix products in here are made in `s.precision`; all networks give float32 back."""
    return torch.autocast(device.type, torch.bfloat16, enabled=s.precision == "bfloat16")


def compiled(function: Callable[P, T], s: Settings) -> Callable[P, T]:
    """`function`, as one graph by torch.compile if the settings say so: the same random numbers,
    and but for rounding the same results. Compiled when first called, and again for other shapes.
    """
    if not s.compile:
        return function
    options: dict[str, Any] = {"fallback_random": True}  # else it would draw others
    return torch.compile(function, fullgraph=True, dynamic=False, options=options)
