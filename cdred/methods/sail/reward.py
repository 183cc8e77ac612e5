"""Support-weighted adversarial imitation learning: SAIL (arXiv 2002.08803).

The reward is the adversary's, weighted by the estimated support of the expert's policy (random
expert distillation, RED, arXiv 1905.06750):

    R = exp(-sigma e(x) / e_E) * r(D(x)),   e(x) = mean_j (g_j(x) - f_j(x))^2

with a fixed random f, its distillation g on expert data, and r(D) = D or -log(1 - D). In the
published method sigma is chosen by task so that the support of expert data is close to one; here
the running mean e_E of the error on expert data sets its unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from cdred.learning.networks import EnsembleMLP
from cdred.learning.reward_model import register_scalar
from cdred.methods.gail.reward import Adversary
from cdred.methods.sail.settings import SailSettings

if TYPE_CHECKING:
    from cdred.learning.replay import Batch

RATE = 0.01  # of the running mean of the error on expert data


class SupportWeighted(Adversary):
    """A discriminator by binary cross-entropy, its reward weighted by the support in (0, 1]."""

    sigma: Tensor
    unit: Tensor  # e_E, ()

    def __init__(self, s: SailSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__(s, obs_shape, action_dim)
        self.form = s.reward_form
        register_scalar(self, "sigma", s.support_sigma)
        inputs = (obs_shape[0] if self.observed else s.latent_dim) + action_dim
        hidden = [s.target_dim] * s.target_layers
        self.target = EnsembleMLP(
            1, inputs, hidden, s.support_dim, s.activation, init="random_target"
        ).requires_grad_(False)
        hidden = [s.support_dim] * s.support_layers
        self.predictor = EnsembleMLP(1, inputs, hidden, s.support_dim, s.activation)
        self.register_buffer("unit", torch.ones(()))

    def error(self, x: Tensor) -> Tensor:
        """e: (..., D) -> (..., 1)."""
        flat = x.flatten(0, -2)[None]
        with torch.no_grad():
            target = self.target(flat)
        error = (self.predictor(flat) - target)[0].square().mean(-1, keepdim=True)
        return error.unflatten(0, x.shape[:-1])

    def support(self, x: Tensor) -> Tensor:
        """The estimated support (..., 1) of inputs (..., D)."""
        return (-self.sigma * self.error(x) / self.unit).exp()

    def reward(self, x: Tensor) -> Tensor:
        logits = self.logits(x)
        adversarial = F.sigmoid(logits) if self.form == "bounded" else F.softplus(logits)
        return self.support(x) * adversarial

    def adversarial_loss(self, expert: Tensor, behaviour: Tensor) -> Tensor:
        return (F.softplus(-expert) + F.softplus(behaviour)).mean((1, 2))

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The adversary's loss, and that of the distillation on expert data."""
        loss, reward, metrics = super().loss(z, action, batch, weights)
        x = self.inputs(batch.obs[:-1] if self.observed else z, action)
        expert, behaviour = x[:, : batch.num_expert], x[:, batch.num_expert :]
        error = self.error(expert)
        with torch.no_grad():
            support = {"expert": self.support(expert), "behaviour": self.support(behaviour)}
            metrics |= {f"support_{stream}": value.mean() for stream, value in support.items()}
            self.unit.lerp_(error.mean(), RATE)
        distillation = error.mean((1, 2)) @ weights / len(weights)
        metrics["distillation_loss"] = distillation.detach()
        return loss + distillation, reward, metrics
