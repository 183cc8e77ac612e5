"""Coupled distributional random expert distillation: the reward of CDRED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cdred.learning.networks import EnsembleMLP
from cdred.learning.reward_model import RewardModel, register_scalar
from cdred.methods.cdred.settings import CdredSettings, DistillationSettings

if TYPE_CHECKING:
    from cdred.learning.replay import Batch

EXPERT, BEHAVIOUR = 0, 1
# The variance of the targets divides the bonus; it has no floor in the authors' code.
VARIANCE_FLOOR = 1e-6


class CoupledRND(RewardModel):
    """Two predictors distil the same K fixed random targets, one on expert and one on behavioural
    data; R = zeta G(-sigma b_E) - (1 - zeta) G(-sigma b_B) (paper, section 4).

    In the latent space, or (an ablation) on observations: x = (z, a) or (s, a).

    The targets are parameters without gradient, so they are saved with the agent: a reloaded agent
    plans with the reward it was trained with.
    """

    alpha: Tensor
    sigma: Tensor
    zeta: Tensor

    def __init__(self, s: DistillationSettings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.transform = s.transform
        register_scalar(self, "alpha", s.alpha)
        register_scalar(self, "sigma", s.sigma)
        start, end = self.coupling(s)
        register_scalar(self, "zeta", start)
        self.schedule = None if end is None else (start, end)
        if self.schedule:  # saved with the agent, which plans with the zeta it ended with
            self.register_buffer("zeta", self.zeta)
        self.num_targets = s.num_targets
        self.observed = s.reward_space == "observation"
        joint = (obs_shape[0] if self.observed else s.latent_dim) + action_dim
        self.targets = EnsembleMLP(
            s.num_targets, joint, [s.target_dim] * s.target_layers, s.rnd_dim, s.activation,
            init="random_target",
        ).requires_grad_(False)  # fmt: skip
        self.predictors = EnsembleMLP(
            2, joint, [s.predictor_dim] * s.predictor_layers, s.rnd_dim, s.activation
        )

    def coupling(self, s: DistillationSettings) -> tuple[float, float | None]:
        """zeta at first, and at the end if it moves."""
        assert isinstance(s, CdredSettings)
        return s.zeta, s.zeta_end

    def anneal(self, progress: float) -> None:
        """zeta moves linearly to `zeta_end`, if there is one."""
        if self.schedule:
            start, end = self.schedule
            self.zeta.fill_(start + (end - start) * progress)

    def bonus(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """DRND's bias-corrected pseudo-count (arXiv 2401.09750, eq. 9).

        prediction (..., D), targets (K, ..., D) -> (..., 1); small where the prediction is good.
        """
        mean = targets.mean(0)
        variance = (targets - mean).square().mean(0) + VARIANCE_FLOOR
        error = (prediction - mean).square().sum(-1, keepdim=True)
        ratio = (prediction.square() - mean.square()).abs() / variance
        return self.alpha * error + (1 - self.alpha) * ratio.sqrt().mean(-1, keepdim=True)

    def bonuses(self, z: Tensor, action: Tensor) -> Tensor:
        """Both predictors' bonuses at z (..., L), action (..., A): (2, ..., 1), expert's first."""
        x = torch.cat([z, action], -1)
        flat = x.flatten(0, -2).unsqueeze(0)
        bonuses = self.bonus(self.predictors(flat), self.targets(flat))
        return bonuses.unflatten(1, x.shape[:-1])

    def reward(self, bonuses: Tensor) -> Tensor:
        """R from both predictors' bonuses (2, ..., 1)."""
        value = -self.sigma * bonuses
        if self.transform == "exp":
            value = value.exp()
        return self.zeta * value[EXPERT] - (1 - self.zeta) * value[BEHAVIOUR]

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        return self.reward(self.bonuses(z, action))

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Mean squared error of each predictor, on its own stream, to a target drawn per sample.

        The gradient flows through z into dynamics and encoder; the targets' outputs are constants.
        Loss and reward share one pass of the targets. In the observation space, z gives way to the
        real observations.
        """
        if self.observed:
            z = batch.obs[:-1]
        horizon, total, _ = z.shape
        half = total // 2  # both streams have the same size: one batched product serves both
        x = torch.cat([z, action], -1).unflatten(1, (2, half)).transpose(0, 1).flatten(1, 2)
        own = self.predictors(x)  # (2, H * half, D): each predictor on its own stream
        with torch.no_grad():
            targets = self.targets(x.flatten(0, 1).unsqueeze(0)).unflatten(1, x.shape[:2])
            drawn = torch.randint(self.num_targets, x.shape[:2], device=x.device)
            drawn = drawn[None, ..., None].expand(1, -1, -1, targets.shape[-1])
            chosen = targets.gather(0, drawn)[0]
            other = self.predictors(x.flip(0))  # each predictor on the other's stream
            streams = (torch.stack([own[0], other[0]]), torch.stack([other[1], own[1]]))
            bonuses = torch.stack([self.bonus(predicted, targets) for predicted in streams])
            # Distance to the mean of the targets: the part of the loss that can be learned.
            errors = (torch.stack(streams) - targets.mean(0)).square().mean((2, 3))
            reward = (
                self.reward(bonuses).unflatten(1, (horizon, half)).transpose(0, 1).flatten(1, 2)
            )
        error = (own - chosen).square().mean(-1)
        per_stream = error.unflatten(1, (horizon, half)).mean(-1) @ weights / horizon
        mean_bonus = bonuses.mean((2, 3))  # (predictor, stream)
        metrics = {
            "expert_predictor_loss": per_stream[EXPERT].detach(),
            "behaviour_predictor_loss": per_stream[BEHAVIOUR].detach(),
        }
        for p, predictor in enumerate(("expert", "behaviour")):
            for s, stream in enumerate(("expert", "behaviour")):
                metrics[f"{predictor}_bonus_on_{stream}"] = mean_bonus[p, s]
                metrics[f"{predictor}_error_on_{stream}"] = errors[p, s]
        return per_stream.sum(), reward, metrics
