"""The environment's reward, learned (TD-MPC2): what trains experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cdred.learning.networks import mlp
from cdred.learning.reward_model import RewardModel
from cdred.learning.twohot import soft_cross_entropy, two_hot, two_hot_inverse
from cdred.methods.true_reward.settings import TrueRewardSettings

if TYPE_CHECKING:
    from cdred.learning.replay import Batch


class TrueReward(RewardModel):
    """A distribution over bins of symlog space, as TD-MPC2 learns it."""

    def __init__(self, s: TrueRewardSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.num_bins, self.symlog_max = s.num_bins, s.symlog_max
        hidden = [s.mlp_dim, s.mlp_dim]
        self.net = mlp(s.latent_dim + action_dim, hidden, s.num_bins, s.activation)
        nn.init.zeros_(self.net[-1].weight)  # type: ignore[arg-type]

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        return two_hot_inverse(self._logits(z, action), self.symlog_max)

    def _logits(self, z: Tensor, action: Tensor) -> Tensor:
        return self.net(torch.cat([z, action], -1)).float()

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        assert batch.reward is not None
        logits = self._logits(z, action)
        target = two_hot(batch.reward, self.num_bins, self.symlog_max)
        loss = soft_cross_entropy(logits, target).mean((1, 2)) @ weights / len(weights)
        return loss, batch.reward, {}
