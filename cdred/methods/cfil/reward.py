"""Coupled flow imitation learning: CFIL (arXiv 2305.00303), the paper's model-free baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import zuko
from torch import Tensor, nn

from cdred.learning.reward_model import RewardModel
from cdred.learning.standardisation import mean_and_std
from cdred.methods.cfil.settings import CfilSettings

if TYPE_CHECKING:
    from cdred.learning.replay import Batch, Replay


class CoupledFlow(RewardModel):
    """Two masked autoregressive flows on observations and actions x = (s, a), of the expert's and
    of the agent's data. The log ratio of their densities, l = log p_B(x) - log p_E(x), squashed, is
    trained to the optimum of the Donsker-Varadhan bound of KL(B || E); the reward is R = -l, or
    that and a constant.

    Not in the latent space: groups of SimNorm sum to one, so there is no density to speak of.
    """

    mean: Tensor  # (S + A,)
    std: Tensor

    def __init__(self, s: CfilSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        hidden = [s.predictor_dim] * s.predictor_layers
        self.expert, self.behaviour = (
            zuko.flows.MAF(
                obs_shape[0] + action_dim, transforms=s.flow_transforms, hidden_features=hidden,
                activation=nn.SiLU if s.flow_activation == "silu" else nn.ReLU,
            )
            for _ in range(2)
        )  # fmt: skip
        self.noise, self.relative = s.flow_noise, s.flow_noise_kind == "relative"
        self.likelihood_coef, self.shift = s.flow_likelihood_coef, s.flow_reward_shift
        self.learning_rate, self.update_every = s.flow_learning_rate, s.flow_update_every
        self.register_buffer("mean", torch.zeros(obs_shape[0] + action_dim))
        self.register_buffer("std", torch.ones(obs_shape[0] + action_dim))

    def is_due(self, updates: int) -> bool:
        return updates % self.update_every == 0

    def prepare(self, expert: Replay, behaviour: Replay) -> None:
        """Densities are of standardised data: by mean and standard deviation of what is there
        before the first update, both streams counting the same. Then noise of one size suits
        every task, and what sets the streams apart is of order one."""
        mean, std = mean_and_std([torch.cat(r.transitions(), -1) for r in (expert, behaviour)])
        self.mean.copy_(mean)
        self.std.copy_(std)

    def standardised(self, obs: Tensor, action: Tensor) -> Tensor:
        """Observations (..., S), actions (..., A) -> x (..., S + A)."""
        return (torch.cat([obs, action], -1) - self.mean) / self.std

    def log_densities(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log p_E and log p_B at standardised x (..., S + A), each (...)."""
        return self.expert().log_prob(x), self.behaviour().log_prob(x)

    @staticmethod
    def squash(log_ratio: Tensor) -> Tensor:
        """A bounded log ratio: exp of it and rewards stay in bounds, as published."""
        return 6 * torch.tanh(log_ratio / 15)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """R(s, a): observations (..., S), actions (..., A) -> (..., 1)."""
        expert, behaviour = self.log_densities(self.standardised(obs, action))
        return self.shift - self.squash(behaviour - expert)[..., None]

    def smoothed(self, x: Tensor) -> Tensor:
        """x with noise, which makes densities of data that lie on a surface finite."""
        if self.relative:
            return x * (1 + self.noise * (2 * torch.rand_like(x) - 1))
        return x + self.noise * torch.randn_like(x)

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The negative bound, E_B[l] - log E_E[exp l], and each flow's negative log-likelihood of
        its own data, both with noise."""
        obs, experts = batch.obs[:-1], slice(batch.num_expert)
        others = slice(batch.num_expert, None)
        with torch.no_grad():
            reward = self(obs, action)
        x = self.standardised(obs, action)
        expert, behaviour = self.log_densities(self.smoothed(x))
        log_ratio = self.squash(behaviour - expert)  # (H, N)
        mean_exp = log_ratio[:, experts].logsumexp(1) - torch.tensor(float(batch.num_expert)).log()
        bound = log_ratio[:, others].mean(1) - mean_exp
        likelihood = expert[:, experts].mean(1) + behaviour[:, others].mean(1)
        loss = -(bound + self.likelihood_coef * likelihood) @ weights / len(weights)
        metrics = {
            "divergence_bound": bound.detach().mean(),
            "expert_log_likelihood": expert[:, experts].detach().mean(),
            "behaviour_log_likelihood": behaviour[:, others].detach().mean(),
        }
        return loss, reward, metrics
