"""The update step: the paper's algorithm box, for any reward model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cdred.learning.replay import Batch
from cdred.learning.rewards import RewardModel
from cdred.learning.scale import RunningScale
from cdred.learning.settings import Settings
from cdred.learning.speed import compiled, matrix_precision
from cdred.learning.twohot import soft_cross_entropy, two_hot, two_hot_inverse
from cdred.learning.world_model import WorldModel


class Learner:
    """World model, reward model and their optimisers. `update` makes one gradient step of each."""

    def __init__(
        self, model: WorldModel, reward_model: RewardModel, s: Settings, discount: float,
        total_updates: int,
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
        rest += [p for p in reward_model.parameters() if p.requires_grad]
        self.policy_parameters = list(model.policy.parameters())
        lr = s.learning_rate
        groups = [{"params": encoder, "lr": lr * s.encoder_lr_scale}, {"params": rest, "lr": lr}]
        self.world_parameters = encoder + rest
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.policy_optimizer = torch.optim.Adam(
            self.policy_parameters, lr=lr, eps=1e-5, fused=True
        )
        self._base_lrs = [g["lr"] for g in self._groups()]

    def _groups(self) -> list[dict]:
        return self.optimizer.param_groups + self.policy_optimizer.param_groups

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
        """What the networks' own state does not hold."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "policy_optimizer": self.policy_optimizer.state_dict(),
            "scale": self.scale.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.policy_optimizer.load_state_dict(state["policy_optimizer"])
        self.scale.load_state_dict(state["scale"])
        self.updates = state["updates"]

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on a batch. Returns detached scalars, left on the device."""
        self._set_learning_rate()
        self.model.train()
        self.reward_model.train()

        with matrix_precision(self.s, self.device):
            total_loss, zs, metrics = self._world_loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        total_loss.backward()
        grad_norm = torch.nn.utils.clip_grad_norm_(self.world_parameters, self.s.grad_clip)
        self.optimizer.step()

        metrics |= self._update_policy(zs.detach())
        self.model.update_target_q()
        self.model.eval()  # acting and planning are without dropout
        self.updates += 1
        return metrics | {"total_loss": total_loss.detach(), "grad_norm": grad_norm}

    def world_loss(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The weighted sum of consistency, reward and value loss; the rolled-out latents
        (H + 1, N, L); detached metrics."""
        s, model, weights = self.s, self.model, self.weights[:-1]
        # Latent roll-out, held to the encodings of what was really observed next.
        with torch.no_grad():
            z_observed = model.encoder(batch.obs[1:])  # (H, N, L)
        rollout = [model.encoder(batch.obs[0])]
        for action in batch.action:
            rollout.append(model.next(rollout[-1], action))
        zs = torch.stack(rollout)
        errors = (zs[1:] - z_observed).square().mean((1, 2))  # (H,)
        consistency_loss = errors @ weights / s.horizon

        reward_loss, reward, metrics = self.reward_model.loss(zs[:-1], batch.action, batch, weights)

        logits = model.q_logits(zs[:-1], batch.action)  # (Q, H, N, bins)
        target = two_hot(self._td_target(z_observed, reward), s.num_bins, s.symlog_max)
        value_loss = soft_cross_entropy(logits, target).mean((0, 2, 3)) @ weights / s.horizon

        total_loss = (
            s.consistency_coef * consistency_loss
            + s.value_coef * value_loss
            + s.reward_coef * reward_loss
        )
        with torch.no_grad():
            metrics |= self._stream_statistics(reward, logits, batch.num_expert)
            for k, error in enumerate(errors.detach().unbind(), 1):
                metrics[f"consistency_{k}"] = error  # k steps after the real observation
        metrics |= {
            "consistency_loss": consistency_loss.detach(),
            "reward_loss": reward_loss.detach(),
            "value_loss": value_loss.detach(),
        }
        return total_loss, zs, metrics

    @torch.no_grad()
    def _td_target(self, z_next: Tensor, reward: Tensor) -> Tensor:
        """reward + discount * the smaller of two target Q at the policy's action, (H, N, 1)."""
        action, _ = self.model.policy.sample(z_next)
        return reward + self.discount * self.model.q_pair(z_next, action, target=True).amin(0)

    def policy_loss(self, zs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Maximum entropy on Q over detached latents (H + 1, N, L), the scale a constant; detached
        metrics."""
        action, entropy = self.model.policy.sample(zs)
        q = self.model.q_pair(zs, action).amin(0)
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
        return metrics | {"policy_grad_norm": norm}

    def _stream_statistics(
        self, reward: Tensor, logits: Tensor, num_expert: int
    ) -> dict[str, Tensor]:
        """Mean and standard deviation of the reward and of Q at the first step, per stream."""
        q = two_hot_inverse(logits[:, 0], self.s.symlog_max)  # (Q, N, 1)
        streams = {"behaviour": slice(num_expert, None)}
        if num_expert:
            streams["expert"] = slice(num_expert)
        found: dict[str, Tensor] = {}
        for stream, part in streams.items():
            for name, values in (("reward", reward[:, part]), ("q", q[:, part])):
                spread, mean = torch.std_mean(values)
                found |= {f"{name}_{stream}": mean, f"{name}_{stream}_std": spread}
        return found
