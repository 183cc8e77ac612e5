"""The seam between the methods and the learner: what update step and planner ask of a reward model.

A method is a subclass of `RewardModel`. The least that one implements is

- `__init__(s, obs_shape, action_dim)`: its networks, from its settings. Parameters that require a
  gradient are trained by the learner's optimiser, together with the world model.
- `forward(z, action)`: the reward, by which the planner plans.
- `loss(z, action, batch, weights)`: its loss on both streams, and the reward of the same steps,
  from which the critic learns.

Batches hold N sub-sequences of H steps, time first. The first `batch.num_expert` of the N come from
demonstrations, the others from the agent's replay; both have the same number. Gradients of `loss`
flow through z into dynamics and encoder, unless it detaches z.

`losses` may be overridden as well, where the critic is another than TD-MPC2's (IQ-MPC), `planned`
where the planner's reward takes more than (z, a), `prepare` to see the data before the first
update, `learning_rate` for an adversary, and `anneal` for schedules. docs/extending.md walks
through an example.

With `compile`, an update is recorded once and run as one program from then on: what a reward model
computes must follow from tensors, and what changes or differs between runs be a buffer, changed in
place: a coefficient by `register_scalar`, a statistic by `register_buffer`, which is saved as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from cdred.errors import CdredError
from cdred.learning.twohot import soft_cross_entropy, two_hot

if TYPE_CHECKING:
    from cdred.learning.replay import Batch, Replay
    from cdred.learning.world_model import WorldModel


def register_scalar(module: nn.Module, name: str, value: float) -> None:
    """A constant of a module, or what `anneal` sets, as a tensor that is not saved: not a part of
    the compiled program, so that runs which differ in it alone share one."""
    module.register_buffer(name, torch.tensor(float(value)), persistent=False)


class Rollout(NamedTuple):
    """A batch in the latent space."""

    zs: Tensor  # (H + 1, N, L), of the model; with the gradients of dynamics and encoder
    z_observed: Tensor  # (H, N, L), encodings of what was observed next; no gradient
    batch: Batch
    weights: Tensor  # (H,), of each step in the losses
    discount: Tensor  # ()


class Losses(NamedTuple):
    """The losses of reward model and critic, and what the learner reports of them."""

    reward_loss: Tensor
    value_loss: Tensor
    reward: Tensor  # (H, N, 1), of these steps; no gradient
    q: Tensor  # (Q, H, N, 1), values of every member; no gradient
    metrics: dict[str, Tensor]  # detached


class RewardModel(nn.Module):
    """A learned reward R(z, a) of latent states and actions."""

    # Of methods whose Q holds the reward in itself. Their Q are scalars, not distributions over
    # bins; their values count the policy's entropy, and the policy's objective is Q as it is.
    inverse: bool = False
    # Of an optimiser of its parameters alone, for a loss that detaches z; its gradients are not
    # clipped, and its rate follows the schedule of the settings. None: they are trained with the
    # world model.
    learning_rate: float | None = None

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        """R(z, a): (..., L), (..., A) -> (..., 1)."""
        raise NotImplementedError

    def loss(
        self, z: Tensor, action: Tensor, batch: Batch, weights: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The loss, the reward and metrics of rolled-out latents z (H, N, L) and actions (H, N, A).

        The loss weighs each step by `weights` (H,) and is divided by H; the reward (H, N, 1), for
        the TD targets, has no gradient; metrics are detached scalars, which metrics.csv holds.
        `batch` has the observations, which a reward in their space takes in place of z.
        """
        raise NotImplementedError

    def losses(self, model: WorldModel, r: Rollout) -> Losses:
        """The losses of reward model and critic. This critic is TD-MPC2's: it learns the return of
        the reward by temporal differences."""
        reward_loss, reward, metrics = self.loss(r.zs[:-1], r.batch.action, r.batch, r.weights)
        self._check(reward_loss, reward, metrics, r.batch.action.shape[:2])
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

    def _check(
        self, loss: Tensor, reward: Tensor, metrics: dict[str, Tensor], steps: torch.Size
    ) -> None:
        """Refuse what would broadcast: it would train something else."""
        where = f"{type(self).__name__}.loss"
        shapes = {"loss": (loss, ()), "reward": (reward, (*steps, 1))}
        shapes |= {f"metrics[{name!r}]": (value, ()) for name, value in metrics.items()}
        for name, (value, shape) in shapes.items():
            if not torch.is_tensor(value) or value.shape != shape:
                got = f"shape {(*value.shape,)}" if torch.is_tensor(value) else f"{value!r:.40}"
                raise CdredError(f"{where}: {name}: expected a tensor of shape {shape}, got {got}")

    def planned(
        self, model: WorldModel, z: Tensor, action: Tensor, z_next: Tensor, discount: Tensor
    ) -> Tensor:
        """The reward (..., 1) of a step that the planner imagines."""
        return self(z, action)

    def prepare(self, expert: Replay, behaviour: Replay) -> None:
        """Look at the data of both streams, once, before the first update. It is not called again
        when a training goes on, so that it fills buffers that `__init__` registered."""

    def is_due(self, updates: int) -> bool:
        """Tell whether its own optimiser steps in the update after `updates` ones."""
        return True

    def anneal(self, progress: float) -> None:
        """Follow schedules: `progress` is the share of all updates that were made."""
