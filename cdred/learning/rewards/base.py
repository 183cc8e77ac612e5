"""What the update step and the planner ask of a reward model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from cdred.learning.replay import Batch


class RewardModel(nn.Module):
    """Batches hold `batch.num_expert` expert sub-sequences first, then behavioural ones."""

    uses_demonstrations: bool
    uses_environment_reward: bool

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        """R(z, a): (..., L), (..., A) -> (..., 1)."""
        raise NotImplementedError

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What the update step needs, from rolled-out latents z (H, N, L) and actions (H, N, A):
        the loss, each step weighted by `weights` (H,), divided by H; the reward of TD targets
        (H, N, 1), without gradient; and detached metrics."""
        raise NotImplementedError
