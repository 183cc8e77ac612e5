"""Behaviour cloning: the mean squared error of the policy's tanh mean on demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from cdred.envs.episodes import Episode
from cdred.learning.agent import Agent
from cdred.learning.monitor import Monitor
from cdred.learning.settings import Settings
from cdred.learning.trainer import Trainer
from cdred.learning.world_model import Policy, make_encoder

METRICS = ["bc_loss", "grad_norm", "grad_norm_all"]


class CloningNetworks(nn.Module):
    """The encoder and policy of the world model, without the rest of it."""

    def __init__(self, s: Settings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.encoder = make_encoder(s, obs_shape)
        self.policy = Policy(s, action_dim)


class CloningTrainer(Trainer):
    """Clones behaviour: a step is an update on state-action pairs drawn from all demonstrations."""

    def __init__(
        self, agent: Agent, s: Settings, seed: int, demonstrations: list[Episode],
        monitor: Monitor,
    ) -> None:  # fmt: skip
        super().__init__(agent, s, seed, monitor)
        obs = np.concatenate([e.obs[:-1] for e in demonstrations])
        action = np.concatenate([e.action for e in demonstrations])
        self.obs = torch.from_numpy(obs).to(agent.device)
        self.action = torch.from_numpy(action).to(agent.device)
        self.optimizer = torch.optim.Adam(agent.parameters(), lr=s.learning_rate, fused=True)

    def advance(self) -> None:
        s, model = self.s, self.agent.model
        if s.lr_schedule == "linear":
            self.optimizer.param_groups[0]["lr"] = s.learning_rate * (1 - self.updates / s.steps)
        drawn = torch.randint(len(self.obs), (s.batch_size,), device=self.obs.device)
        model.train()
        predicted = model.policy.mean(model.encoder(self.obs[drawn]))
        model.eval()
        loss = (predicted - self.action[drawn]).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.agent.parameters(), s.grad_clip)
        self.optimizer.step()
        self.updated(METRICS, torch.stack([loss.detach(), norm, norm]))

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
