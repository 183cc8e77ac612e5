"""Baselines and ablations: inverse soft Q against a reference of its own, learners without a model,
rewards on observations, schedules of zeta."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.learning import forward, tiny, toy, train, weights

from cdred.learning import saving
from cdred.learning.agent import Agent
from cdred.learning.learner import Learner
from cdred.learning.planner import Planner
from cdred.learning.replay import Batch, Replay
from cdred.learning.reward_model import Rollout
from cdred.learning.world_model import WorldModel
from cdred.methods.cdred.reward import CoupledRND
from cdred.methods.cfil.reward import CoupledFlow
from cdred.methods.cfil.settings import LARGEST_LOG_RATIO, CfilSettings
from cdred.methods.iqmpc.reward import InverseSoftQ

GAMMA, ENTROPY = 0.9, 0.7


def iqmpc(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[WorldModel, InverseSoftQ]:
    """Both with weights that matter, and a policy whose actions and entropy are known."""
    s = tiny("iqmpc", num_q=2, iq_alpha=0.3, entropy_coef=0.2, **changes)
    agent = Agent.create("cup-catch", "iqmpc", (8,), 2, s)
    model, reward_model = agent.model, agent.reward_model
    assert isinstance(model, WorldModel) and isinstance(reward_model, InverseSoftQ)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5)

    def sample(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return z[..., :2].sin(), torch.full((*z.shape[:-1], 1), ENTROPY)

    monkeypatch.setattr(model.policy, "sample", sample)
    return model, reward_model


def q_of(net: Any, z: torch.Tensor, action: torch.Tensor) -> np.ndarray:
    """Values of both members at (n, L), (n, A): (2, n), in float64."""
    x = torch.cat([z, action], -1).detach().double().numpy()
    return np.stack([forward(net, member, x)[:, 0] for member in range(2)])


@pytest.mark.parametrize("start", ["v0", "value"])
def test_inverse_soft_q_loss_is_the_formula(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, reward_model = iqmpc(monkeypatch, iq_start=start)
    horizon, n, rho = 3, 8, 0.6
    zs, after = torch.rand(horizon + 1, n, 16), torch.rand(horizon, n, 16)
    action = torch.rand(horizon, n, 2) * 2 - 1
    step_weights = rho ** torch.arange(horizon)
    batch = Batch(torch.zeros(horizon + 1, n, 8), action, None, num_expert=4)
    found = reward_model.losses(model, Rollout(zs, after, batch, step_weights, GAMMA))

    def value(net: Any, z: torch.Tensor) -> np.ndarray:
        return q_of(net, z, z[:, :2].sin()).min(0) + 0.2 * ENTROPY

    expected = 0.0
    for t in range(horizon):
        reward = q_of(model.q, zs[t], action[t]) - GAMMA * value(model.target_q, after[t])
        np.testing.assert_allclose(found.reward[t, :, 0], reward.mean(0), rtol=1e-4, atol=1e-4)
        step = -reward[:, :4].mean() + (reward**2).mean() / (4 * 0.3)
        if start == "v0":
            step += (1 - GAMMA) * value(model.q, zs[0, :4]).mean()
        else:
            step += (value(model.q, zs[t]) - GAMMA * value(model.target_q, after[t])).mean()
        expected += rho**t * step / horizon
    assert found.value_loss.item() == pytest.approx(expected, rel=1e-4)
    assert found.reward_loss.item() == 0


def test_inverse_soft_q_reaches_encoder_and_q_but_no_target() -> None:
    """By V at the start the policy too, which goes by its own loss alone (test_update.py)."""
    agent = Agent.create("cup-catch", "iqmpc", (8,), 2, tiny("iqmpc"))
    assert isinstance(agent.model, WorldModel) and agent.reward_model is not None
    for parameter in agent.model.q.parameters():
        parameter.data.normal_(0, 0.5)
    z = agent.model.encoder(torch.randn(3, 8, 8))
    batch = Batch(torch.zeros(3, 8, 8), torch.rand(2, 8, 2), None, num_expert=4)
    rollout = Rollout(z, z[1:].detach(), batch, torch.ones(2), GAMMA)
    agent.reward_model.losses(agent.model, rollout).value_loss.backward()
    reached = {
        name.split(".")[0]
        for name, parameter in agent.model.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().sum() > 0
    }
    assert reached == {"encoder", "policy", "q"}


def test_inverse_soft_q_finds_the_occupancy_ratio() -> None:
    """A state visited by both, one by the expert alone, one by the agent alone. With gamma 0, R is
    Q, and without the start's term the objective has a known minimum: 4 alpha e / (e + b)."""
    s = tiny("iqmpc", latent_dim=8, simnorm_dim=8, iq_alpha=0.5, entropy_coef=0.0)
    agent = Agent.create("cup-catch", "iqmpc", (8,), 2, s)
    assert isinstance(agent.model, WorldModel) and agent.reward_model is not None
    states = torch.eye(8)[:3]
    expert, behaviour = states[[0, 0, 1, 1]], states[[0, 0, 2, 2]]
    z = torch.cat([expert, behaviour])[None].expand(2, -1, -1)
    action = torch.zeros(1, 8, 2)
    batch = Batch(torch.zeros(2, 8, 8), action, None, num_expert=4)
    optimizer = torch.optim.Adam(agent.model.q.parameters(), lr=3e-3)
    for _ in range(1500):
        losses = agent.reward_model.losses(
            agent.model, Rollout(z, z[1:], batch, torch.ones(1), 0.0)
        )
        start = agent.reward_model.value(agent.model, z[0, :4]).mean()  # type: ignore[operator]
        optimizer.zero_grad()
        (losses.value_loss - start).backward()
        optimizer.step()
    q = agent.model.q_logits(states, torch.zeros(3, 2)).mean(0)[:, 0]
    torch.testing.assert_close(q, torch.tensor([1.0, 2.0, 0.0]), atol=0.05, rtol=0)


def test_the_gradient_penalty_measures_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Q that are linear until a step, and twice as steep after it, weighted by the steps."""
    model, reward_model = iqmpc(monkeypatch)
    slope = torch.randn(18)
    steepness = torch.tensor([1.0, 2.0])[:, None, None]  # of the steps

    def linear(z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        x = torch.cat([z, action], -1) * steepness
        return torch.stack([k * (x @ slope)[..., None] for k in (1, 2)])

    monkeypatch.setattr(model, "q_logits", linear)
    zs, action = torch.rand(2, 6, 16), torch.rand(2, 6, 2)
    batch = Batch(torch.zeros(3, 6, 8), action, None, num_expert=3)
    rollout = Rollout(zs, zs, batch, torch.tensor([1.0, 0.5]), GAMMA)
    found = reward_model.steepness(model, zs, action, rollout)
    per_step = [((slope.norm() * torch.tensor([k, 2.0 * k]) - 1) ** 2).mean() for k in (1.0, 2.0)]
    torch.testing.assert_close(found, (per_step[0] + 0.5 * per_step[1]) / 2)


def test_what_iqmpc_plans_is_its_soft_return(monkeypatch: pytest.MonkeyPatch) -> None:
    model, reward_model = iqmpc(monkeypatch)
    z, action, z_next = torch.rand(5, 16), torch.rand(5, 2), torch.rand(5, 16)
    found = reward_model.planned(model, z, action, z_next, GAMMA)[:, 0]
    after = q_of(model.q, z_next, z_next[:, :2].sin()).min(0) + 0.2 * ENTROPY
    expected = q_of(model.q, z, action).min(0) - GAMMA * after + 0.2 * ENTROPY
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-4)


def test_iqmpc_ends_its_plans_with_the_mean_of_two_q(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan's value step by step: rewards of the smaller Q, then Q's mean and the entropy."""
    model, reward_model = iqmpc(monkeypatch)
    monkeypatch.setattr(model, "next", lambda z, a: (z.cos() + a.sum(-1, keepdim=True)).sin())
    s = tiny("iqmpc", num_q=2, iq_alpha=0.3, entropy_coef=0.2, horizon=3)
    z, actions = torch.rand(2, 4, 16), torch.rand(2, 4, 3, 2) * 2 - 1
    planner = Planner(model, reward_model, s, GAMMA, 2)
    rewards, ends = planner.imagine(z, actions, torch.tensor(GAMMA))
    found = (rewards + GAMMA**3 * planner.end_value(ends)).detach()
    at, expected = z.flatten(0, 1), np.zeros(8)
    for t in range(3):
        action = actions[:, :, t].flatten(0, 1)
        after = (at.cos() + action.sum(-1, keepdim=True)).sin()
        soft = q_of(model.q, after, after[:, :2].sin()).min(0) + 0.2 * ENTROPY
        reward = q_of(model.q, at, action).min(0) - GAMMA * soft
        expected += GAMMA**t * (reward + 0.2 * ENTROPY)
        at = after
    end = q_of(model.q, at, at[:, :2].sin()).mean(0) + 0.2 * ENTROPY
    np.testing.assert_allclose(found.flatten(), expected + GAMMA**3 * end, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["cdred", "iqmpc"])
def test_without_a_model_latents_are_encodings(method: str) -> None:
    s = toy(method, model_free=True)
    agent = Agent.create("cartpole-balance", method, (5,), 1, s)
    assert isinstance(agent.model, WorldModel) and agent.reward_model is not None
    assert not list(agent.model.dynamics.parameters())
    learner = Learner(agent.model, agent.reward_model, s, GAMMA, 10)
    obs = torch.randn(s.horizon + 1, 8, 5)
    batch = Batch(obs, torch.rand(s.horizon, 8, 1), None, num_expert=4)
    _, zs, metrics = learner.world_loss(batch)
    torch.testing.assert_close(zs, agent.model.encoder(obs))
    assert metrics["consistency_loss"] == 0
    trained = [train(method, model_free=True)[0] for _ in range(2)]
    assert weights(trained[0]) == weights(trained[1])


def test_a_reward_on_observations_leaves_the_encoder_alone(tmp_path: Any) -> None:
    s = tiny(reward_space="observation")
    model = CoupledRND(s, (5,), 3)
    obs, action, z = torch.randn(3, 8, 5), torch.rand(2, 8, 3), torch.rand(2, 8, 16)
    z.requires_grad_()
    batch = Batch(obs, action, None, num_expert=4)
    loss, reward, _ = model.loss(z, action, batch, torch.ones(2))
    torch.testing.assert_close(reward, model(obs[:-1], action).detach())
    loss.backward()
    assert z.grad is None
    agent, history = train("cdred", reward_space="observation")
    saving.write(tmp_path, agent, history)
    again = Agent.from_pretrained(tmp_path / "pretrained_model")
    assert weights(again) == weights(agent)


def test_zeta_follows_its_schedule_and_is_saved(tmp_path: Any) -> None:
    s = toy(zeta=0.9, zeta_end=0.5)
    model = CoupledRND(s, (5,), 1)
    bonuses = torch.rand(2, 4, 1)
    for progress, zeta in ((0.0, 0.9), (0.5, 0.7), (1.0, 0.5)):
        model.anneal(progress)
        plain = CoupledRND(s.replace(zeta=zeta, zeta_end=None), (5,), 1)
        torch.testing.assert_close(model.reward(bonuses), plain.reward(bonuses))
    agent, history = train("cdred", zeta=0.9, zeta_end=0.5)
    saving.write(tmp_path, agent, history)
    again = Agent.from_pretrained(tmp_path / "pretrained_model")
    assert isinstance(again.reward_model, CoupledRND)
    assert 0.5 < float(again.reward_model.zeta) < 0.52  # the last of 54 updates is at 53/54
    assert weights(train("cdred", zeta=0.9)[0]) != weights(agent)


@pytest.mark.parametrize("changes", [{"mpc": True}, {"gradient_penalty": 1.0}])
def test_iqmpc_learns_with_its_options(changes: dict[str, Any]) -> None:
    small = {"plan_samples": 16, "plan_iterations": 2, "plan_policy_samples": 4, "plan_elites": 4}
    agent, history = train("iqmpc", **small | changes)
    assert weights(agent) == weights(train("iqmpc", **small | changes)[0])
    assert all(np.isfinite(value) for row in history.metrics for value in row.values())


def test_coupled_flows_bound_is_donsker_varadhans() -> None:
    """Loss and reward from the flows' own densities, in float64; without noise."""
    s = tiny("cfil", flow_noise=0.0, flow_likelihood_coef=0.3)
    model = CoupledFlow(s, (5,), 3)
    obs, action, weights_ = torch.randn(3, 8, 5), torch.rand(2, 8, 3), torch.tensor([1.0, 0.5])
    batch = Batch(obs, action, None, num_expert=4)
    loss, reward, _ = model.loss(torch.zeros(2, 8, 16), action, batch, weights_)
    x = torch.cat([obs[:-1], action], -1)
    expert, behaviour = (d.detach().double().numpy() for d in model.log_densities(x))
    ratio = 6 * np.tanh((behaviour - expert) / 15)
    np.testing.assert_allclose(reward[..., 0], -ratio, rtol=1e-4, atol=1e-5)
    assert (
        model.squash(torch.tensor(1e9)) == LARGEST_LOG_RATIO
    )  # by which configurations are checked
    expected = 0.0
    for t, weight in enumerate((1.0, 0.5)):
        bound = ratio[t, 4:].mean() - np.log(np.exp(ratio[t, :4]).mean())
        likelihood = expert[t, :4].mean() + behaviour[t, 4:].mean()
        expected -= weight * (bound + 0.3 * likelihood) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_flows_as_published_are_updated_rarely_and_reward_nothing_negative() -> None:
    """The noise is a share of the value; one of a hundred updates steps the flows."""
    small = {"latent_dim": 16, "encoder_dim": 16, "mlp_dim": 16, "predictor_dim": 16}
    s = CfilSettings.preset("paper", **small, batch_size=4, compile=False)
    agent = Agent.create("cartpole-balance", "cfil", (5,), 1, s)
    assert isinstance(agent.model, WorldModel) and isinstance(agent.reward_model, CoupledFlow)
    x = torch.randn(1000, 6)
    share = (agent.reward_model.smoothed(x) / x - 1).abs()
    assert 0.2 < share.max() <= 0.25 + 1e-4
    learner = Learner(agent.model, agent.reward_model, s, GAMMA, 1000)
    changed = []
    for learner.updates in (0, 1, 50, 99, 100, 101):
        before = weights(agent.reward_model)
        batch = Batch(torch.randn(4, 8, 5), torch.rand(3, 8, 1), None, num_expert=4)
        count = learner.updates
        learner.update(batch)
        changed.append((count, weights(agent.reward_model) != before))
    assert [count for count, one in changed if one] == [0, 100]
    assert agent.reward_model(100 * torch.randn(50, 5), torch.rand(50, 1)).min() >= 0


def test_coupled_flows_do_not_depend_on_units_and_are_saved_with_them(tmp_path: Any) -> None:
    units, rewards = torch.tensor([1.0, 100.0, 1e-2, 1.0]), []
    for scale in (torch.ones(4), units):
        torch.manual_seed(0)
        model = CoupledFlow(tiny("cfil"), (4,), 2)
        generator = torch.Generator().manual_seed(1)
        replays = []
        for shift in (0.0, 2.0):
            obs = torch.randn(13, 4, generator=generator) + shift
            obs[:, 3] = 5.0  # never varies
            action = torch.rand(12, 2, generator=generator)
            replays.append(Replay(13, (4,), 2, 3, with_reward=False))
            replays[-1].add(obs * scale, action)
        model.prepare(*replays)
        x = torch.cat([model.standardised(*r.transitions()) for r in replays])
        torch.testing.assert_close(x.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
        spread = torch.tensor([1.0, 1, 1, 0, 1, 1])
        torch.testing.assert_close(x.std(0, correction=0), spread, atol=1e-3, rtol=0)
        rewards.append(model(*replays[0].transitions()))
    torch.testing.assert_close(rewards[0], rewards[1], atol=1e-3, rtol=1e-3)

    agent, history = train("cfil", model_free=True)
    assert isinstance(agent.reward_model, CoupledFlow)
    assert (agent.reward_model.std != 1).all()
    saving.write(tmp_path, agent, history)
    assert weights(Agent.from_pretrained(tmp_path / "pretrained_model")) == weights(agent)


def test_coupled_flows_find_the_log_ratio_of_two_gaussians() -> None:
    """Of N(+1/2, 1) and N(-1/2, 1) in one of two dimensions: log p_E - log p_B = x."""
    torch.manual_seed(0)
    model = CoupledFlow(tiny("cfil", flow_noise=0.0, flow_transforms=1), (1,), 1)
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
    found = model(at, torch.zeros(9, 1)).detach()
    # squash() has slope 6/15 at 0, but its own optimum is the log ratio itself, within its bounds
    torch.testing.assert_close(found, at, atol=0.25, rtol=0)
