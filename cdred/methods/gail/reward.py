"""Adversarial rewards: a discriminator D of the expert's and the agent's (z, a), trained against
the policy (GAIL, arXiv 1606.03476; off-policy, with a gradient penalty: DAC, arXiv 1809.02925).

    L = - E_expert[log D] - E_behaviour[log(1 - D)] + penalty * E[(|grad f| - 1)^2],  D = sigmoid(f)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from cdred.learning.gradient_penalty import gradient_penalty
from cdred.learning.networks import mlp
from cdred.learning.reward_model import RewardModel, register_scalar
from cdred.learning.standardisation import mean_and_std
from cdred.methods.gail.settings import DiscriminatorSettings, GailSettings

if TYPE_CHECKING:
    from cdred.learning.replay import Batch, Replay


class Adversary(RewardModel):
    """A network f(z, a) that is large on the expert's data and small on the agent's, with an
    optimiser of its own: no gradient of it reaches the world model.

    In the latent space, or on observations standardised by what both streams hold before the first
    update: x = (z, a) or (s, a). A subclass says by which loss it learns, and what the reward is.
    """

    mean: Tensor  # of observations, (S,)
    std: Tensor
    penalty: Tensor
    slope = 1.0  # to which the penalty draws f's gradient

    def __init__(self, s: DiscriminatorSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.observed = s.reward_space == "observation"
        inputs = obs_shape[0] if self.observed else s.latent_dim
        hidden = [s.discriminator_dim] * s.discriminator_layers
        self.net = mlp(inputs + action_dim, hidden, 1, s.activation)
        self.learning_rate, self.penalised = s.discriminator_learning_rate, s.gradient_penalty > 0
        register_scalar(self, "penalty", s.gradient_penalty)
        if self.observed:
            self.register_buffer("mean", torch.zeros(inputs))
            self.register_buffer("std", torch.ones(inputs))

    def prepare(self, expert: Replay, behaviour: Replay) -> None:
        if not self.observed:
            return
        mean, std = mean_and_std([replay.transitions()[0] for replay in (expert, behaviour)])
        self.mean.copy_(mean)
        self.std.copy_(std)

    def inputs(self, z: Tensor, action: Tensor) -> Tensor:
        """x (..., D) of latents or observations z, a constant of the loss, and actions."""
        return torch.cat([(z - self.mean) / self.std if self.observed else z, action], -1).detach()

    def logits(self, x: Tensor) -> Tensor:
        """f: (..., D) -> (..., 1)."""
        return self.net(x).float()

    def reward(self, x: Tensor) -> Tensor:
        """R of the inputs, (..., D) -> (..., 1)."""
        raise NotImplementedError

    def adversarial_loss(self, expert: Tensor, behaviour: Tensor) -> Tensor:
        """The loss (H,) of the logits (H, N, 1) of both streams."""
        raise NotImplementedError

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        return self.reward(self.inputs(z, action))

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The adversarial loss and the gradient penalty; the reward is that before the update."""
        x, half = self.inputs(batch.obs[:-1] if self.observed else z, action), batch.num_expert
        with torch.no_grad():
            reward = self.reward(x)
        expert, behaviour = self.logits(x).split([half, x.shape[1] - half], 1)
        loss = self.adversarial_loss(expert, behaviour) @ weights / len(weights)
        metrics = {
            "adversarial_loss": loss.detach(),
            "logit_expert": expert.detach().mean(),
            "logit_behaviour": behaviour.detach().mean(),
        }
        if self.penalised:
            steepness = gradient_penalty(
                lambda x: self.logits(x)[None], x[:, :half], x[:, half:], weights, self.slope
            )
            loss = loss + self.penalty * steepness
            metrics["discriminator_gradient_penalty"] = steepness.detach()
        return loss, reward, metrics


class Discriminator(Adversary):
    """D = sigmoid(f), trained by binary cross-entropy.

    The reward has the form of the settings: `logit`, log D - log(1 - D) = f (AIRL's, of either
    sign); `positive`, -log(1 - D) (GAIL's); `negative`, log D. In tasks that end early the sign is
    a bias towards long or short episodes; in those here, none end early.
    """

    def __init__(self, s: GailSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__(s, obs_shape, action_dim)
        self.form = s.reward_form

    def reward(self, x: Tensor) -> Tensor:
        logits = self.logits(x)
        if self.form == "positive":
            return F.softplus(logits)
        return logits if self.form == "logit" else -F.softplus(-logits)

    def adversarial_loss(self, expert: Tensor, behaviour: Tensor) -> Tensor:
        return (F.softplus(-expert) + F.softplus(behaviour)).mean((1, 2))
