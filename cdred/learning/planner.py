"""Model predictive path integral control in the latent space (TD-MPC2, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cdred.errors import CdredError
from cdred.learning.derived import Execution
from cdred.learning.graph import Graph, matrix_precision, tensor_float32
from cdred.learning.settings import WorldModelSettings

if TYPE_CHECKING:
    from cdred.learning.reward_model import RewardModel
    from cdred.learning.world_model import WorldModel


class Planner:
    """Plans for N latent states at once; each keeps its previous mean as a warm start.

    `reset` forgets the warm starts and must be called at the start of episodes; CdredError when
    another number of states shows that it was not.
    """

    def __init__(
        self, model: WorldModel, reward_model: RewardModel, s: WorldModelSettings,
        discount: float, action_dim: int, execution: Execution = "eager",
    ) -> None:  # fmt: skip
        self.model, self.reward_model, self.s = model, reward_model, s
        self.networks = nn.ModuleDict({"model": model, "reward_model": reward_model})
        self.discount, self.action_dim = discount, action_dim
        self.iterations = s.plan_iterations or (8 if action_dim >= 20 else 6)
        self.previous: Tensor | None = None
        self.graph = Graph(self.optimise, execution, self.networks)

    def reset(self) -> None:
        self.previous = None

    @torch.no_grad()
    def plan(self, z: Tensor, explore: bool) -> Tensor:
        """The first action (N, A) of a plan for each of z (N, L); with noise if `explore`."""
        mean = z.new_zeros(len(z), self.s.horizon, self.action_dim)
        if self.previous is not None:
            if len(self.previous) != len(z):
                raise CdredError(
                    f"{len(z)} observations after {len(self.previous)}, whose plans are still "
                    f"held; call reset() where episodes start"
                )
            mean[:, :-1] = self.previous[:, 1:]
        discount = z.new_full((), self.discount)
        with tensor_float32(self.s, z.device):
            self.previous, action = self.graph([], [z, mean, discount], explore)
        return action

    def optimise(
        self, z: Tensor, mean: Tensor, discount: Tensor, explore: bool
    ) -> tuple[Tensor, Tensor]:
        """All iterations from z (N, L) and a first mean (N, H, A): the last mean and an action."""
        s, count = self.s, len(z)
        std = torch.full_like(mean, s.plan_max_std)
        z = z[:, None].expand(-1, s.plan_samples, -1)
        with matrix_precision(s, z.device):
            prior = self.policy_actions(z[:, : s.plan_policy_samples])
            imagined = self.imagine(z[:, : s.plan_policy_samples], prior, discount)
            for _ in range(self.iterations):
                mean, std, elites, score = self.improve(z, prior, imagined, mean, std, discount)
        chosen = torch.multinomial(score, 1)[:, 0]
        action = elites[torch.arange(count, device=z.device), chosen, 0]
        if explore:
            action = action + std[:, 0] * torch.randn_like(action)
        return mean, action.clamp(-1, 1)

    def improve(
        self, z: Tensor, prior: Tensor, imagined: tuple[Tensor, Tensor], mean: Tensor, std: Tensor,
        discount: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """One iteration: from z (N, S, L), the policy's actions (N, P, H, A) with what is imagined
        of them, and the distribution of actions (N, H, A) a better distribution, its elites
        (N, E, H, A) and their weights. All are valued by the same Q functions."""
        s = self.s
        count = s.plan_samples - s.plan_policy_samples
        noise = torch.randn(z.shape[0], count, *mean.shape[1:], device=z.device)
        gaussian = (mean[:, None] + std[:, None] * noise).clamp(-1, 1)
        actions = torch.cat([prior, gaussian], 1)  # (N, S, H, A)
        drawn = self.imagine(z[:, s.plan_policy_samples :], gaussian, discount)
        rewards, ends = (torch.cat(both, 1) for both in zip(imagined, drawn, strict=True))
        value = rewards + discount**s.horizon * self.end_value(ends)
        # A value that is not a number must never win: real values are mostly negative. Finite, so
        # that where none is a number the weights are: the training's own check says what is wrong.
        worst = torch.finfo(value.dtype).min
        value = value.nan_to_num(nan=worst, posinf=worst, neginf=worst)
        best, index = value.topk(s.plan_elites, dim=1)
        elites = actions.gather(1, index[..., None, None].expand(-1, -1, *actions.shape[2:]))
        score = (s.plan_temperature * (best - best[:, :1])).softmax(1)
        weight = score[..., None, None]
        mean = (weight * elites).sum(1)
        variance = (weight * (elites - mean[:, None]).square()).sum(1)
        return mean, variance.sqrt().clamp(s.plan_min_std, s.plan_max_std), elites, score

    def policy_actions(self, z: Tensor) -> Tensor:
        """The policy's actions in the model from z (N, P, L): (N, P, H, A)."""
        actions = []
        for _ in range(self.s.horizon):
            actions.append(self.model.policy.sample(z)[0])
            z = self.model.next(z, actions[-1])
        return torch.stack(actions, 2)

    def imagine(self, z: Tensor, actions: Tensor, discount: Tensor) -> tuple[Tensor, Tensor]:
        """The discounted rewards (N, S) of actions (N, S, H, A) in the model, and where they end,
        (N, S, L)."""
        total, factor = torch.zeros(z.shape[:2], device=z.device), torch.ones_like(discount)
        for step in range(self.s.horizon):
            action = actions[:, :, step]
            z_next = self.model.next(z, action)
            reward = self.reward_model.planned(self.model, z, action, z_next, discount)
            if reward.shape != (*z.shape[:-1], 1):
                name = type(self.reward_model).__name__
                shape = (*z.shape[:-1], 1)
                raise CdredError(f"{name}: a reward of shape {(*reward.shape,)}, expected {shape}")
            total, z = total + factor * reward[..., 0], z_next
            factor = factor * discount
        return total, z

    def end_value(self, z: Tensor) -> Tensor:
        """The mean (N, S) of two Q functions, drawn anew in each call, where plans end."""
        action, entropy = self.model.policy.sample(z)
        value = self.model.q_pair(z, action).mean(0)
        if self.reward_model.inverse:
            value = value + self.s.entropy_coef * entropy
        return value[..., 0]
