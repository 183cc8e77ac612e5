"""An exponential mean of the weights over the updates of a training.

Towards the end of a training an agent's behaviour swings from update to update; that of the mean of
its weights does less (Polyak and Juditsky, 1992). The mean is kept beside the training, which never
sees it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """The mean of the trained parameters of a module; whatever else it holds is as it is there.

    After update n, w_n = w_(n-1) + max(1 - decay, 1 / n) (theta_n - w_(n-1)): the plain mean of
    the first 1 / (1 - decay) updates, so that no trace of the initial weights is left, and an
    exponential one from there.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.trained: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
        self.mean = [p.detach().clone() for p in self.trained]

    @torch.no_grad()
    def add(self, updates: int) -> None:
        """Take in the parameters after `updates` updates, the first being 1."""
        torch._foreach_lerp_(self.mean, self.trained, max(1 - self.decay, 1 / updates))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let the module have the mean for a while. Its parameters stay where they are in memory,
        and come back to the bit."""
        own = [p.detach().clone() for p in self.trained]
        self.apply()
        try:
            yield
        finally:
            self._set(own)

    def apply(self) -> None:
        """Let the module have the mean for good."""
        self._set(self.mean)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self.trained, values)

    def state(self) -> list[Tensor]:
        return self.mean

    @torch.no_grad()
    def restore(self, state: list[Tensor]) -> None:
        torch._foreach_copy_(self.mean, [value.to(self.mean[0].device) for value in state])
