"""Adversarial rewards against references of their own: GAIL, SAIL, HyPE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.learning import forward, tiny, toy, train, weights

from cdred.learning import saving
from cdred.learning.agent import Agent
from cdred.learning.gradient_penalty import gradient_penalty
from cdred.learning.learner import Learner
from cdred.learning.replay import Batch, Replay
from cdred.learning.world_model import WorldModel
from cdred.methods.gail.reward import Adversary, Discriminator
from cdred.methods.hype.reward import MomentMatching
from cdred.methods.sail.reward import SupportWeighted

ADVERSARIES: dict[str, type[Adversary]] = {
    "gail": Discriminator, "hype": MomentMatching, "sail": SupportWeighted,
}  # fmt: skip
WEIGHTS = torch.tensor([1.0, 0.5])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def made(method: str, **changes: Any) -> tuple[Any, torch.Tensor, Batch]:
    """A reward model on observations (2 + 1, 8, 5) and actions of 3, with its inputs x."""
    s = tiny(method, reward_space="observation", discriminator_dim=16, **changes)
    model = ADVERSARIES[method](s, (5,), 3)
    for parameter in model.parameters():  # large weights, so that outputs differ
        parameter.data.normal_(0, 0.5)
    batch = Batch(torch.randn(3, 8, 5), torch.rand(2, 8, 3), None, num_expert=4)
    return model, torch.cat([batch.obs[:-1], batch.action], -1), batch


def logits_of(model: Adversary, x: torch.Tensor) -> np.ndarray:
    """f in float64: Linear, LayerNorm, SiLU twice, and a bare Linear."""
    y = x.double().numpy()
    layers = [layer for layer in model.net if hasattr(layer, "weight")]
    for linear, norm in zip(layers[0:-1:2], layers[1:-1:2], strict=True):
        y = y @ linear.weight.detach().double().numpy().T + linear.bias.detach().double().numpy()
        y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5)
        y = y * norm.weight.detach().double().numpy() + norm.bias.detach().double().numpy()
        y = y / (1 + np.exp(-y))
    y = y @ layers[-1].weight.detach().double().numpy().T
    return np.asarray(y + layers[-1].bias.detach().double().numpy())[..., 0]


def cross_entropy(logits: np.ndarray) -> float:
    """Of the first four of eight as the expert's, by step and weighted."""
    d = 1 / (1 + np.exp(-logits))
    per_step = -np.log(d[:, :4]).mean(1) - np.log(1 - d[:, 4:]).mean(1)
    return float(per_step @ WEIGHTS.double().numpy() / 2)


@pytest.mark.parametrize("form", ["logit", "positive", "negative"])
def test_gail_is_binary_cross_entropy_and_its_reward_has_the_form(form: str) -> None:
    model, x, batch = made("gail", gradient_penalty=0.0, reward_form=form)
    loss, reward, _ = model.loss(torch.zeros(2, 8, 16), batch.action, batch, WEIGHTS)
    logits = logits_of(model, x)
    assert loss.item() == pytest.approx(cross_entropy(logits), rel=1e-5)
    d = 1 / (1 + np.exp(-logits))
    expected = {
        "logit": np.log(d) - np.log(1 - d),
        "positive": -np.log(1 - d),
        "negative": np.log(d),
    }
    np.testing.assert_allclose(reward[..., 0], expected[form], rtol=1e-4, atol=1e-5)


def test_hype_matches_moments_and_its_reward_is_the_witness() -> None:
    model, x, batch = made("hype", gradient_penalty=0.0)
    loss, reward, _ = model.loss(torch.zeros(2, 8, 16), batch.action, batch, WEIGHTS)
    f = logits_of(model, x)
    per_step = f[:, 4:].mean(1) - f[:, :4].mean(1)
    assert loss.item() == pytest.approx(per_step @ WEIGHTS.double().numpy() / 2, rel=1e-4)
    np.testing.assert_allclose(reward[..., 0], f, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "slope"), [("gail", 1.0), ("hype", 0.4)])
def test_the_penalty_draws_to_the_published_slope(
    method: str, slope: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x, batch = made(method, gradient_penalty=10.0)
    share = slope / x.shape[-1] ** 0.5
    monkeypatch.setattr(model, "logits", lambda x: share * x.sum(-1, keepdim=True))
    *_, metrics = model.loss(torch.zeros(2, 8, 16), batch.action, batch, WEIGHTS)
    assert metrics["discriminator_gradient_penalty"].item() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("form", ["positive", "bounded"])
def test_sail_weighs_the_adversary_by_the_support(form: str) -> None:
    model, x, batch = made("sail", gradient_penalty=0.0, reward_form=form, support_sigma=0.7)
    model.unit.fill_(2.5)
    loss, reward, _ = model.loss(torch.zeros(2, 8, 16), batch.action, batch, WEIGHTS)
    flat = x.flatten(0, 1).double().numpy()
    error = (forward(model.predictor, 0, flat) - forward(model.target, 0, flat)) ** 2
    error = error.mean(-1).reshape(2, 8)
    logits = logits_of(model, x)
    d = 1 / (1 + np.exp(-logits))
    adversarial = d if form == "bounded" else -np.log(1 - d)
    expected = np.exp(-0.7 * error / 2.5) * adversarial
    np.testing.assert_allclose(reward[..., 0], expected, rtol=1e-3, atol=1e-6)
    distillation = error[:, :4].mean(1) @ WEIGHTS.double().numpy() / 2
    assert loss.item() == pytest.approx(cross_entropy(logits) + distillation, rel=1e-4)
    assert model.unit.item() == pytest.approx(2.5 + 0.01 * (error[:, :4].mean() - 2.5), rel=1e-5)


def test_the_penalty_is_of_slopes_between_the_streams() -> None:
    """Of a quadratic with its slope known everywhere: the points lie between pairs of samples."""
    expert, behaviour = torch.full((2, 6, 3), 2.0), torch.zeros(2, 6, 3)

    def critic(x: torch.Tensor) -> torch.Tensor:
        points.append(x.detach())
        return (x.square().sum(-1, keepdim=True) / 2)[None]

    points: list[torch.Tensor] = []
    value = gradient_penalty(critic, expert, behaviour, WEIGHTS)
    (at,) = points
    assert (at == at[..., :1]).all() and at.min() >= 0 and at.max() <= 2 and at.std() > 0.1
    per_step = (at.norm(dim=-1) - 1).square().mean(1)
    torch.testing.assert_close(value, (per_step * WEIGHTS).sum() / 2)


@pytest.mark.parametrize("method", ADVERSARIES)
def test_an_adversary_has_an_optimiser_of_its_own_and_leaves_the_world_model_alone(
    method: str, tmp_path: Path
) -> None:
    s = toy(method, reward_space="latent", reward_coef=1.0)
    agent = Agent.create("cartpole-balance", method, (5,), 1, s)
    assert isinstance(agent.model, WorldModel) and isinstance(agent.reward_model, Adversary)
    z = torch.rand(s.horizon, 8, 16, requires_grad=True)
    batch = Batch(torch.randn(s.horizon + 1, 8, 5), torch.rand(s.horizon, 8, 1), None, num_expert=4)
    loss, *_ = agent.reward_model.loss(z, batch.action, batch, torch.ones(s.horizon))
    gradients = torch.autograd.grad(
        loss, [z, *agent.reward_model.net.parameters()], allow_unused=True
    )
    assert gradients[0] is None and any(g is not None and g.abs().sum() > 0 for g in gradients[1:])

    learner = Learner(agent.model, agent.reward_model, s, 0.9, 10)
    before = {name: value.clone() for name, value in agent.reward_model.named_parameters()}
    learner.update(batch)
    for name, value in agent.reward_model.named_parameters():
        step = (value - before[name]).abs().max()  # Adam's first is its learning rate
        assert step <= 1.001 * s.discriminator_learning_rate
        assert (step > 0) == name.startswith(("net", "predictor")), name
    assert "reward" in learner.state_dict()["optimizers"]

    trained, history = train(method)
    saving.write(tmp_path, trained, history)
    assert weights(Agent.from_pretrained(tmp_path)) == weights(trained)
    assert weights(train(method)[0]) == weights(trained)


def test_observations_are_standardised_by_both_streams() -> None:
    rewards = []
    for scale in (torch.ones(5), torch.tensor([1.0, 100.0, 1e-2, 1.0, 10.0])):
        torch.manual_seed(0)
        model = MomentMatching(tiny("hype"), (5,), 1)
        model.net[-1].weight.data.normal_(0, 1)
        generator = torch.Generator().manual_seed(1)
        replays = []
        for shift in (0.0, 2.0):
            obs = torch.randn(13, 5, generator=generator) + shift
            replays.append(Replay(13, (5,), 1, 3, with_reward=False))
            replays[-1].add(obs * scale, torch.rand(12, 1, generator=generator))
        model.prepare(*replays)
        rewards.append(model(*replays[0].transitions()))
    torch.testing.assert_close(rewards[0], rewards[1], atol=1e-3, rtol=1e-3)


def test_a_discriminator_finds_the_log_ratio_of_two_gaussians() -> None:
    """Of N(+1/2, 1) and N(-1/2, 1) in one of two dimensions: log D - log(1 - D) = x."""
    torch.manual_seed(0)
    model = Discriminator(tiny("gail", reward_space="observation", gradient_penalty=0.0), (1,), 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        obs, action = torch.randn(2, 512, 1), torch.randn(1, 512, 1)
        obs[:, :256] += 0.5
        obs[:, 256:] -= 0.5
        batch = Batch(obs, action, None, num_expert=256)
        loss, *_ = model.loss(torch.zeros(1, 512, 16), action, batch, torch.ones(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    at = torch.linspace(-1, 1, 9)[:, None]
    reward = model(at, torch.zeros(9, 1)).detach()
    torch.testing.assert_close(reward, at, atol=0.25, rtol=0)
