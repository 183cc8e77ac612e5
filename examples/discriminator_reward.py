"""The reward model of discriminator.py; cdred/learning/reward_model.py says what is asked of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from discriminator import DiscriminatorSettings
from torch import Tensor

from cdred.learning.networks import mlp
from cdred.learning.replay import Batch
from cdred.learning.reward_model import RewardModel


class Discriminator(RewardModel):
    """R(z, a) = log D(z, a), where D tells expert from behavioural data.

    Large logits are penalised, and the encoder does not learn from it: z is detached.
    """

    def __init__(self, s: DiscriminatorSettings, obs_shape: list[int], action_dim: int) -> None:
        super().__init__()
        self.penalty = s.penalty
        self.net = mlp(s.latent_dim + action_dim, [s.mlp_dim, s.mlp_dim], 1, s.activation)

    def logits(self, z: Tensor, action: Tensor) -> Tensor:
        return self.net(torch.cat([z, action], -1)).float()

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        return F.logsigmoid(self.logits(z, action))

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        logits = self.logits(z.detach(), action)  # (H, N, 1)
        expert = torch.zeros_like(logits)
        expert[:, : batch.num_expert] = 1
        error = F.binary_cross_entropy_with_logits(logits, expert, reduction="none")
        error = error + self.penalty * 1e-3 * logits.square()
        loss = error.mean((1, 2)) @ weights / len(weights)
        accuracy = ((logits > 0) == (expert > 0)).float().mean()
        return loss, F.logsigmoid(logits).detach(), {"discriminator_accuracy": accuracy}
