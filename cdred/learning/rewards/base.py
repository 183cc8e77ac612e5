"""What the update step and the planner ask of a reward model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from cdred.learning.twohot import soft_cross_entropy, two_hot

if TYPE_CHECKING:
    from cdred.learning.replay import Batch, Replay
    from cdred.learning.world_model import WorldModel


class Rollout(NamedTuple):
    """A batch in the latent space. N sub-sequences of H steps, `batch.num_expert` expert ones
    first."""

    zs: Tensor  # (H + 1, N, L), of the model; with the gradients of dynamics and encoder
    z_observed: Tensor  # (H, N, L), encodings of what was observed next; no gradient
    batch: Batch
    weights: Tensor  # (H,), of each step in the losses
    discount: float


class Losses(NamedTuple):
    reward_loss: Tensor
    value_loss: Tensor
    reward: Tensor  # (H, N, 1), of these steps; no gradient
    q: Tensor  # (Q, H, N, 1), values of every member; no gradient
    metrics: dict[str, Tensor]  # detached


class RewardModel(nn.Module):
    uses_demonstrations: bool
    uses_environment_reward: bool
    # Of methods whose Q holds the reward in itself. Their Q are scalars, not distributions over
    # bins; their values count the policy's entropy, and the policy's objective is Q as it is.
    inverse: bool = False

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

    def losses(self, model: WorldModel, r: Rollout) -> Losses:
        """Losses of reward model and critic. Here the critic is TD-MPC2's: it learns the return of
        this reward by temporal differences."""
        reward_loss, reward, metrics = self.loss(r.zs[:-1], r.batch.action, r.batch, r.weights)
        logits = model.q_logits(r.zs[:-1], r.batch.action)  # (Q, H, N, bins)
        with torch.no_grad():
            action, _ = model.policy.sample(r.z_observed)
            value = torch.minimum(*model.q_pair(r.z_observed, action, target=True))
            target = two_hot(reward + r.discount * value, logits.shape[-1], model.symlog_max)
        per_step = soft_cross_entropy(logits, target).mean((0, 2, 3))
        value_loss = per_step @ r.weights / len(r.weights)
        with torch.no_grad():
            q = model.q_values(logits)
        return Losses(reward_loss, value_loss, reward, q, metrics)

    def planned(
        self, model: WorldModel, z: Tensor, action: Tensor, z_next: Tensor, discount: float
    ) -> Tensor:
        """The reward (..., 1) of a step that the planner imagines."""
        return self(z, action)

    def prepare(self, expert: Replay, behaviour: Replay) -> None:
        """Told once, before the first update, what both streams hold by then."""

    def anneal(self, progress: float) -> None:
        """Follow schedules: `progress` is the share of all updates that were made."""
