"""Inverse soft Q learning in the latent space: IQ-MPC (arXiv 2410.14081), IQ-Learn without a model.

The critic is the reward: R(z, a) = Q(z, a) - gamma V(z'), V(z) = Q(z, a) + beta H(a | z) at the
policy's a, of two Q the smaller one. It is learned from both streams by

    L = - E_expert[R] + (1 - gamma) E_expert[V(z_0)] + 1 / (4 alpha) E_both[R^2]

(IQ-Learn's chi-square regularised objective, arXiv 2106.12142, eq. 10 and section 5.2). The second
term may be estimated over both streams instead, by E_both[V(z) - gamma V(z')].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cdred.learning.gradient_penalty import gradient_penalty
from cdred.learning.reward_model import Losses, RewardModel, Rollout, register_scalar
from cdred.methods.iqmpc.settings import IqmpcSettings

if TYPE_CHECKING:
    from cdred.learning.world_model import WorldModel


class InverseSoftQ(RewardModel):
    """The reward that the critic holds in itself, and the loss by which it learns it."""

    inverse = True
    alpha: Tensor
    beta: Tensor
    penalty: Tensor

    def __init__(self, s: IqmpcSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.start, self.penalised = s.iq_start, s.gradient_penalty > 0
        register_scalar(self, "alpha", s.iq_alpha)
        register_scalar(self, "beta", s.entropy_coef)
        register_scalar(self, "penalty", s.gradient_penalty)

    def value(self, model: WorldModel, z: Tensor, target: bool = False) -> Tensor:
        """V(z): (..., L) -> (..., 1). Its slope in z is also that of the policy's action and
        entropy, as in the authors' code."""
        action, entropy = model.policy.sample(z)
        return torch.minimum(*model.q_pair(z, action, target)) + self.beta * entropy

    def losses(self, model: WorldModel, r: Rollout) -> Losses:
        """Each step weighted, divided by H; a mean over the Q members. V(z') is that of the target
        Q at the encoding of what was observed next, a constant."""
        zs, action, experts = r.zs[:-1], r.batch.action, slice(r.batch.num_expert)
        q = model.q_logits(zs, action)  # (Q, H, N, 1)
        with torch.no_grad():
            value_after = self.value(model, r.z_observed, target=True)
        reward = q - r.discount * value_after
        imitation = -reward[:, :, experts].mean((0, 2, 3))  # (H,)
        regularisation = reward.square().mean((0, 2, 3)) / (4 * self.alpha)
        if self.start == "v0":
            start = (1 - r.discount) * self.value(model, r.zs[0, experts]).mean().expand(len(zs))
        else:
            start = (self.value(model, zs) - r.discount * value_after).mean((1, 2))
        loss = (imitation + regularisation + start) @ r.weights / len(r.weights)
        metrics = {
            "iq_imitation": (imitation @ r.weights / len(r.weights)).detach(),
            "iq_regularisation": (regularisation @ r.weights / len(r.weights)).detach(),
            "iq_start": (start @ r.weights / len(r.weights)).detach(),
        }
        if self.penalised:
            steepness = self.steepness(model, zs, action, r)
            loss = loss + self.penalty * steepness
            metrics["iq_gradient_penalty"] = steepness.detach()
        return Losses(torch.zeros_like(loss), loss, reward.detach().mean(0), q.detach(), metrics)

    @staticmethod
    def steepness(model: WorldModel, zs: Tensor, action: Tensor, r: Rollout) -> Tensor:
        """The gradient penalty of Q over (z, a)."""
        x, latents = torch.cat([zs.detach(), action], -1), zs.shape[-1]
        expert, behaviour = x[:, : r.batch.num_expert], x[:, r.batch.num_expert :]

        def q(x: Tensor) -> Tensor:
            return model.q_logits(x[..., :latents], x[..., latents:])

        return gradient_penalty(q, expert, behaviour, r.weights)

    def planned(
        self, model: WorldModel, z: Tensor, action: Tensor, z_next: Tensor, discount: Tensor
    ) -> Tensor:
        """The reward that Q holds, of two members the smaller one, and the entropy that the policy
        has there."""
        q = torch.minimum(*model.q_pair(z, action))
        after, entropy_after = model.policy.sample(z_next)
        value = torch.minimum(*model.q_pair(z_next, after)) + self.beta * entropy_after
        return q - discount * value + self.beta * model.policy.sample(z)[1]
