"""The statistics by which a reward model standardises the data of both streams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MINIMUM_STD = 1e-2  # of what does not vary


def mean_and_std(streams: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each (D,), of the mixture of streams of (N, D) rows in which all
    count the same, however many rows they have; the deviation is at least MINIMUM_STD."""
    means = torch.stack([x.mean(0) for x in streams])
    within = torch.stack([x.var(0, correction=0) for x in streams]).mean(0)
    variance = within + means.var(0, correction=0)
    return means.mean(0), variance.sqrt().clamp(min=MINIMUM_STD)
