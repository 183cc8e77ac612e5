"""The running scale of Q values that normalises the policy's objective (TD-MPC2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cdred.learning.reward_model import register_scalar


def _percentile(ordered: Tensor, share: float) -> Tensor:
    """The `share` quantile of ascending values (N,), to the bit as torch.quantile interpolates it.

    Taken at a rank that N alone fixes: torch.quantile looks at the data itself, which a compiler
    cannot follow in every version, and needs the shares as a tensor of the host.
    """
    rank = float(np.float32(share)) * (len(ordered) - 1)
    below = int(rank)
    return torch.lerp(ordered[below], ordered[min(below + 1, len(ordered) - 1)], rank - below)


class RunningScale(nn.Module):
    """Exponential average, rate `tau`, of the 5-95 percentile range of Q; at least 1."""

    value: Tensor
    tau: Tensor

    def __init__(self, tau: float) -> None:
        super().__init__()
        register_scalar(self, "tau", tau)
        self.register_buffer("value", torch.ones(()))

    @torch.no_grad()
    def update(self, q: Tensor) -> None:
        ordered = q.detach().flatten().float().sort().values
        spread = _percentile(ordered, 0.95) - _percentile(ordered, 0.05)
        self.value.lerp_(spread.clamp(min=1.0), self.tau)

    def forward(self, q: Tensor) -> Tensor:
        return q / self.value
