"""The running scale of Q values that normalises the policy's objective (TD-MPC2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningScale(nn.Module):
    """Exponential average, rate `tau`, of the 5-95 percentile range of Q; at least 1."""

    value: Tensor

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau
        self.register_buffer("value", torch.ones(()))

    @torch.no_grad()
    def update(self, q: Tensor) -> None:
        low, high = torch.quantile(
            q.detach().flatten().float(), torch.tensor([0.05, 0.95], device=q.device)
        )
        self.value.lerp_((high - low).clamp(min=1.0), self.tau)

    def forward(self, q: Tensor) -> Tensor:
        return q / self.value
