"""The gradient penalty of critics that are told apart by slope (WGAN-GP, arXiv 1704.00028)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], expert: Tensor, behaviour: Tensor, weights: Tensor,
    slope: float = 1.0,
) -> Tensor:  # fmt: skip
    """Mean of (|d critic / dx| - slope)^2 at points drawn between expert and behavioural samples,
    each step weighted, divided by H.

    expert, behaviour (H, N, D); weights (H,); `critic` maps (H, N, D) to (members, H, N, 1), and
    the mean is over its members too.
    """
    share = torch.rand(*expert.shape[:-1], 1, device=expert.device)
    between = (share * expert + (1 - share) * behaviour).detach().requires_grad_()
    slopes = [
        torch.autograd.grad(member.sum(), between, create_graph=True)[0]
        for member in critic(between)
    ]
    per_step = torch.stack([(g.norm(dim=-1) - slope).square().mean(1) for g in slopes]).mean(0)
    return per_step @ weights / len(weights)
