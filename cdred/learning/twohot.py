"""Discrete regression in symlog space (TD-MPC2, section 3; Hafner et al., 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def symlog(x: Tensor) -> Tensor:
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    return x.sign() * x.abs().expm1()


def two_hot(x: Tensor, num_bins: int, symlog_max: float) -> Tensor:
    """Scalars (..., 1) as weights (..., B) on the two nearest of B bins over symlog space."""
    step = 2 * symlog_max / (num_bins - 1)
    position = ((symlog(x) + symlog_max) / step).clamp(0, num_bins - 1)
    # A value that is not a number stays one in the weights, where the loss shows it.
    low = position.floor().clamp(max=num_bins - 2).nan_to_num(0)
    upper = position - low
    encoded = torch.zeros(*x.shape[:-1], num_bins, device=x.device, dtype=x.dtype)
    low = low.long()
    encoded.scatter_(-1, low, 1 - upper)
    return encoded.scatter_(-1, low + 1, upper)


def two_hot_inverse(logits: Tensor, symlog_max: float) -> Tensor:
    """The expected scalar (..., 1) of logits over the bins (..., B)."""
    bins = torch.linspace(
        -symlog_max, symlog_max, logits.shape[-1], device=logits.device, dtype=logits.dtype
    )
    return symexp((logits.softmax(-1) * bins).sum(-1, keepdim=True))


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy (..., 1) of logits (..., B) against bin weights (..., B)."""
    return -(target * F.log_softmax(logits, -1)).sum(-1, keepdim=True)
