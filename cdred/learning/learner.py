"""The update step: the paper's algorithm box, with any reward model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cdred.learning.replay import Batch
from cdred.learning.reward_model import RewardModel, Rollout
from cdred.learning.scale import RunningScale
from cdred.learning.settings import WorldModelSettings
from cdred.learning.speed import compiled, matrix_precision
from cdred.learning.world_model import WorldModel


class Learner:
    """World model, reward model and their optimisers. `update` makes one gradient step of each."""

    def __init__(
        self, model: WorldModel, reward_model: RewardModel, s: WorldModelSettings,
        discount: float, total_updates: int,
    ) -> None:  # fmt: skip
        self.model, self.reward_model, self.s, self.discount = model, reward_model, s, discount
        self.total_updates = total_updates
        self.device = device = next(model.parameters()).device
        self._world_loss = compiled(self.world_loss, s)
        self._policy_loss = compiled(self.policy_loss, s)
        self.scale = RunningScale(s.tau).to(device)
        self.updates = 0
        steps = torch.arange(s.horizon + 1, device=device)
        self.weights = s.rho**steps  # (H + 1,)

        encoder = list(model.encoder.parameters())
        rest = [*model.dynamics.parameters(), *model.q.parameters()]
        # None where the reward model is trained together with the world model.
        self.reward_optimizer = reward_model.own_optimizer()
        if self.reward_optimizer is None:
            rest += [p for p in reward_model.parameters() if p.requires_grad]
        self.policy_parameters = list(model.policy.parameters())
        lr = s.learning_rate
        groups = [{"params": encoder, "lr": lr * s.encoder_lr_scale}, {"params": rest, "lr": lr}]
        self.world_parameters = encoder + rest
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.policy_optimizer = torch.optim.Adam(
            self.policy_parameters, lr=s.policy_learning_rate or lr, eps=1e-5, fused=True
        )
        self.policy_norm = torch.zeros((), device=device)  # of its last gradient, clipped
        self._base_lrs = [g["lr"] for g in self._groups()]

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        named = {
            "optimizer": self.optimizer,
            "policy_optimizer": self.policy_optimizer,
            "reward_optimizer": self.reward_optimizer,
        }
        return {name: optimizer for name, optimizer in named.items() if optimizer is not None}

    def _groups(self) -> list[dict[str, Any]]:
        return [group for o in self._optimizers().values() for group in o.param_groups]

    def _set_learning_rate(self) -> None:
        s = self.s
        if s.lr_schedule == "constant":
            return
        if s.lr_schedule == "linear":
            factor = max(1 - self.updates / self.total_updates, 0.0)
        else:
            factor = 0.1 ** (self.updates // s.lr_decay_every)
        for group, base in zip(self._groups(), self._base_lrs, strict=True):
            group["lr"] = base * factor

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimisers, the running scale and the count of updates."""
        return {name: o.state_dict() for name, o in self._optimizers().items()} | {
            "scale": self.scale.state_dict(),
            "updates": self.updates,
            "policy_norm": self.policy_norm,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, optimizer in self._optimizers().items():
            optimizer.load_state_dict(state[name])
        self.policy_norm = state["policy_norm"].to(self.device)
        self.scale.load_state_dict(state["scale"])
        self.updates = state["updates"]

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on a batch. Returns detached scalars, left on the device."""
        self._set_learning_rate()
        self.reward_model.anneal(self.updates / self.total_updates)
        self.model.train()
        self.reward_model.train()

        with matrix_precision(self.s, self.device):
            total_loss, zs, metrics = self._world_loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        if self.reward_optimizer is not None:
            self.reward_optimizer.zero_grad(set_to_none=True)
        total_loss.backward()
        grad_norm = torch.nn.utils.clip_grad_norm_(self.world_parameters, self.s.grad_clip)
        self.optimizer.step()
        if self.reward_optimizer is not None and self.reward_model.is_due(self.updates):
            self.reward_optimizer.step()
        # As the authors take it: the policy's gradient of the update before is among it.
        grad_norm_all = torch.linalg.vector_norm(torch.stack([grad_norm, self.policy_norm]))
        metrics |= {"grad_norm": grad_norm, "grad_norm_all": grad_norm_all}

        metrics |= self._update_policy(zs.detach())
        self.model.update_target_q()
        self.model.eval()  # acting and planning are without dropout
        self.updates += 1
        return metrics | {"total_loss": total_loss.detach()}

    def world_loss(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The weighted sum of consistency, reward and value loss; the rolled-out latents
        (H + 1, N, L); detached metrics."""
        s, model, weights = self.s, self.model, self.weights[:-1]
        if s.model_free:
            zs = model.encoder(batch.obs)
            z_observed = zs[1:].detach()
        else:
            # Latent roll-out, held to the encodings of what was really observed next.
            with torch.no_grad():
                z_observed = model.encoder(batch.obs[1:])  # (H, N, L)
            rollout = [model.encoder(batch.obs[0])]
            for action in batch.action:
                rollout.append(model.next(rollout[-1], action))
            zs = torch.stack(rollout)
        errors = (zs[1:] - z_observed).square().mean((1, 2))  # (H,); 0 without a model
        consistency_loss = errors @ weights / s.horizon

        losses = self.reward_model.losses(
            model, Rollout(zs, z_observed, batch, weights, self.discount)
        )
        total_loss = (
            s.consistency_coef * consistency_loss
            + s.value_coef * losses.value_loss
            + s.reward_coef * losses.reward_loss
        )
        metrics = losses.metrics
        with torch.no_grad():
            metrics |= _stream_statistics(losses.reward, losses.q[:, 0], batch.num_expert)
            for k, error in enumerate(errors.detach().unbind(), 1):
                metrics[f"consistency_{k}"] = error  # k steps after the real observation
        metrics |= {
            "consistency_loss": consistency_loss.detach(),
            "reward_loss": losses.reward_loss.detach(),
            "value_loss": losses.value_loss.detach(),
        }
        return total_loss, zs, metrics

    def policy_loss(self, zs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Maximum entropy on Q over detached latents (H + 1, N, L), normalised by the running
        scale, a constant here, unless Q holds the reward; detached metrics."""
        action, entropy = self.model.policy.sample(zs)
        q = self.model.q_pair(zs, action)
        q = torch.minimum(*q) if self.s.policy_q == "min" else q.mean(0)
        if not self.reward_model.inverse:
            self.scale.update(q[0])
        per_step = (self.s.entropy_coef * entropy + self.scale(q)).mean((1, 2))  # (H + 1,)
        loss = -(per_step * self.weights).mean()
        return loss, {
            "policy_loss": loss.detach(),
            "policy_entropy": entropy.detach().mean(),
            "q_scale": self.scale.value.clone(),
        }

    def _update_policy(self, zs: Tensor) -> dict[str, Tensor]:
        with matrix_precision(self.s, self.device):
            loss, metrics = self._policy_loss(zs)
        # Only the policy's gradients: Q is a constant here.
        gradients = torch.autograd.grad(loss, self.policy_parameters)
        for parameter, gradient in zip(self.policy_parameters, gradients, strict=True):
            parameter.grad = gradient
        norm = torch.nn.utils.clip_grad_norm_(self.policy_parameters, self.s.grad_clip)
        self.policy_optimizer.step()
        self.policy_norm = norm.clamp(max=self.s.grad_clip)
        return metrics | {"policy_grad_norm": norm}


def _stream_statistics(reward: Tensor, q: Tensor, num_expert: int) -> dict[str, Tensor]:
    """Mean and standard deviation of the reward (H, N, 1) and of Q (members, N, 1) at the first
    step, per stream."""
    streams = {"behaviour": slice(num_expert, None)}
    if num_expert:
        streams["expert"] = slice(num_expert)
    statistics: dict[str, Tensor] = {}
    for stream, part in streams.items():
        for name, values in (("reward", reward[:, part]), ("q", q[:, part])):
            spread, mean = torch.std_mean(values)
            statistics |= {f"{name}_{stream}": mean, f"{name}_{stream}_std": spread}
    return statistics
