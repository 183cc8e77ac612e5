"""Behaviour cloning against its formula, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.learning import tiny
from torch import Tensor

from cdred.envs.episodes import Episode
from cdred.learning.agent import Agent
from cdred.learning.monitor import Monitor
from cdred.methods.bc.trainer import CloningTrainer


def layers(p: dict[str, Tensor], name: str, x: Tensor, hidden: int) -> Tensor:
    """Linear, LayerNorm, SiLU; a bare last Linear."""
    for k in range(0, 3 * hidden, 3):
        x = x @ p[f"{name}.{k}.weight"].T + p[f"{name}.{k}.bias"]
        centred = x - x.mean(-1, keepdim=True)
        x = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        x = x * p[f"{name}.{k + 1}.weight"] + p[f"{name}.{k + 1}.bias"]
        x = x / (1 + (-x).exp())
    return x @ p[f"{name}.{3 * hidden}.weight"].T + p[f"{name}.{3 * hidden}.bias"]


def actions(p: dict[str, Tensor], obs: Tensor) -> Tensor:
    """The tanh of the policy's mean, from an encoder that ends in LayerNorm and SimNorm."""
    x = layers(p, "model.encoder", obs, 1)
    centred = x - x.mean(-1, keepdim=True)
    x = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    x = x * p["model.encoder.4.weight"] + p["model.encoder.4.bias"]
    groups = torch.stack(x.chunk(8, -1)).exp()
    z = torch.cat(list(groups / groups.sum(0)), -1)
    mean, _ = layers(p, "model.policy.net", z, 2).chunk(2, -1)
    return mean.tanh()


@pytest.mark.parametrize("clip", [20.0, 0.01])
def test_an_update_is_a_step_on_the_squared_error(clip: float) -> None:
    """Mean over pairs and dimensions, gradient clipped by its norm, Adam's first step; the learning
    rate falls to zero over the training."""
    torch.manual_seed(0)
    s = tiny("bc", batch_size=16, grad_clip=clip, lr_schedule="linear", steps=100)
    agent = Agent.create("cheetah-run", "bc", (7,), 3, s)
    for parameter in agent.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    rng = np.random.default_rng(0)
    episodes = [
        Episode(
            rng.normal(size=(n + 1, 7)).astype(np.float32),
            rng.uniform(-1, 1, (n, 3)).astype(np.float32),
            np.zeros(n, np.float32), None, n,
        )
        for n in (9, 14)
    ]  # fmt: skip
    p = {k: v.detach().double().requires_grad_() for k, v in agent.named_parameters()}
    trainer = CloningTrainer(agent, s, 0, episodes, Monitor())

    # An episode's last observation has no action.
    obs = torch.from_numpy(np.concatenate([e.obs[:-1] for e in episodes])).double()
    done = torch.from_numpy(np.concatenate([e.action for e in episodes])).double()
    torch.manual_seed(1)
    drawn = torch.randint(23, (16,))
    loss = (actions(p, obs[drawn]) - done[drawn]).square().sum() / (16 * 3)
    slopes = dict(zip(p, torch.autograd.grad(loss, list(p.values())), strict=True))
    norm = torch.stack([g.square().sum() for g in slopes.values()]).sum().sqrt()

    torch.manual_seed(1)
    seen: dict[str, float] = {}
    trainer.updated = lambda names, values: seen.update(  # type: ignore[method-assign]
        zip(names, values.tolist(), strict=True)
    )
    trainer.advance()
    assert seen["bc_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert seen["grad_norm"] == pytest.approx(norm.item(), rel=1e-5)
    for name, parameter in agent.named_parameters():
        gradient = slopes[name] * min(1.0, clip / (norm + 1e-6))
        expected = p[name].detach() - s.learning_rate * gradient / (gradient.abs() + 1e-8)
        clear = slopes[name].abs() > 1e-5 * slopes[name].abs().max() + 1e-6
        difference = (parameter.detach().double() - expected).abs()
        assert difference[clear].max() < 1e-5, name
    trainer.updates = 75
    trainer.advance()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(s.learning_rate / 4)
