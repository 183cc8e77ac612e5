"""Precision and compilation: options that change rounding for speed (docs/performance.md)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

import torch

from cdred.learning.settings import WorldModelSettings

P = ParamSpec("P")
T = TypeVar("T")


def matrix_precision(s: WorldModelSettings, device: torch.device) -> AbstractContextManager[Any]:
    """A context whose matrix products are made in `s.precision`; networks return float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=s.precision == "bfloat16")


def compiled(function: Callable[P, T], s: WorldModelSettings) -> Callable[P, T]:
    """`function`, compiled by torch.compile to one graph if the settings say so: the same random
    numbers and, but for rounding, the same results. Compiled at its first call, and again for other
    shapes.
    """
    if not s.compile:
        return function
    options: dict[str, Any] = {"fallback_random": True}  # else it would draw others
    return torch.compile(function, fullgraph=True, dynamic=False, options=options)
