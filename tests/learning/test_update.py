"""One whole update of CDRED's, of IQ-MPC's and of TD-MPC2's authors' codes, in float64 from the
formulas: losses, gradients, clipping, Adam, the policy's objective, the target copy. Only the names of parameters and
the order of random numbers are the project's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cdred import methods
from cdred.learning.agent import Agent
from cdred.learning.learner import Learner
from cdred.learning.replay import Batch
from cdred.learning.world_model import Policy, WorldModel

SIZES: dict[str, Any] = {
    "latent_dim": 24, "encoder_dim": 20, "mlp_dim": 20, "dropout": 0.0, "batch_size": 6,
    "compile": False,
}  # fmt: skip
DISTILLATION = {"rnd_dim": 10, "target_dim": 12, "predictor_dim": 14}
H, N, OBS, A, GAMMA, RHO = 3, 12, 7, 3, 0.97, 0.5


class Reference:
    """The update of a batch whose first half is the expert's."""

    def __init__(self, agent: Agent, batch: Batch, beta: float, entropy: str) -> None:
        self.p = {
            name: value.detach().double().requires_grad_(not name.startswith("model.target_q"))
            for name, value in agent.named_parameters()
        }
        self.beta, self.entropy, self.action = beta, entropy, batch.action.double()
        self.obs, self.reward = batch.obs.double(), batch.reward
        self.weights = RHO ** torch.arange(H + 1, dtype=torch.float64)

    # ---- networks: Linear, LayerNorm, Mish; the last Linear bare, or with LayerNorm and SimNorm

    def mlp(self, name: str, x: Tensor, hidden: int, simnorm: bool = False) -> Tensor:
        k = 0
        for _ in range(hidden):
            x = x @ self.p[f"{name}.{k}.weight"].T + self.p[f"{name}.{k}.bias"]
            x = self.norm(x) * self.p[f"{name}.{k + 1}.weight"] + self.p[f"{name}.{k + 1}.bias"]
            x, k = x * torch.tanh(torch.log1p(torch.exp(x))), k + 3
        x = x @ self.p[f"{name}.{k}.weight"].T + self.p[f"{name}.{k}.bias"]
        if not simnorm:
            return x
        x = self.norm(x) * self.p[f"{name}.{k + 1}.weight"] + self.p[f"{name}.{k + 1}.bias"]
        groups = torch.stack(x.chunk(8, -1)).exp()  # 8 features of a group, in different chunks
        return torch.cat(list(groups / groups.sum(0)), -1)

    @staticmethod
    def norm(x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    def member(self, name: str, k: int, x: Tensor) -> Tensor:
        last = sum(1 for key in self.p if key.startswith(f"{name}.weight.")) - 1
        for layer in range(last + 1):
            x = x @ self.p[f"{name}.weight.{layer}"][k] + self.p[f"{name}.bias.{layer}"][k, 0]
            if layer < last:
                x = self.norm(x) * self.p[f"{name}.norm_weight.{layer}"][k, 0]
                x = x + self.p[f"{name}.norm_bias.{layer}"][k, 0]
                x = x * torch.tanh(torch.log1p(torch.exp(x)))
        return x

    def encode(self, obs: Tensor) -> Tensor:
        return self.mlp("model.encoder", obs, 1, simnorm=True)

    def rollout(self) -> Tensor:
        zs = [self.encode(self.obs[0])]
        for action in self.action:
            zs.append(self.mlp("model.dynamics", torch.cat([zs[-1], action], -1), 2, simnorm=True))
        return torch.stack(zs)

    def sample(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """TD-MPC2: A times the Gaussian's log-density; in its first version less the correction."""
        mean, raw = self.mlp("model.policy.net", z, 2).chunk(2, -1)
        log_std = -10 + 6 * (raw.tanh() + 1)
        noise = torch.randn(mean.shape).double()
        action = (mean + noise * log_std.exp()).tanh()
        gaussian, constant = -(noise**2) / 2 - log_std, math.log(2 * math.pi) / 2
        if self.entropy == "scaled":
            return action, -A * (gaussian - constant).sum(-1, keepdim=True)
        log_pi = A * (gaussian.sum(-1, keepdim=True) - constant)
        return action, -(log_pi - torch.log(1 - action**2 + 1e-6).sum(-1, keepdim=True))

    def consistency(self, zs: Tensor) -> Tensor:
        error = (zs[1:] - self.encode(self.obs[1:]).detach()).square().mean((1, 2))
        return (error * self.weights[:-1]).sum() / H

    # ---- steps of the optimisers

    def clip(self, names: list[str], gradients: dict[str, Tensor]) -> tuple[Tensor, float]:
        norm = torch.stack([gradients[n].square().sum() for n in names]).sum().sqrt()
        return norm, min(1.0, 20.0 / (norm.item() + 1e-6))

    def adam(self, name: str, gradient: Tensor, lr: float, eps: float) -> Tensor:
        """The first step: both moments, corrected, are the gradient and its square."""
        return self.p[name].detach() - lr * gradient / (gradient.abs() + eps)


def symlog(x: Tensor) -> Tensor:
    return x.sign() * (x.abs() + 1).log()


BINS = torch.linspace(-10, 10, 101, dtype=torch.float64)


def decoded(logits: Tensor) -> Tensor:
    value = (logits.softmax(-1) * BINS).sum(-1, keepdim=True)
    return value.sign() * (value.abs().exp() - 1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """To the two bins beside symlog(target)."""
    at = (symlog(target).clamp(-10, 10) + 10) / 0.2
    below = at.floor().clamp(max=99)
    share = at - below
    log_p = logits.log_softmax(-1)
    low = log_p.gather(-1, below.long().expand(*log_p.shape[:-1], 1))
    high = log_p.gather(-1, (below.long() + 1).expand(*log_p.shape[:-1], 1))
    return -((1 - share) * low + share * high)


def cdred(r: Reference, zs: Tensor, s: Any) -> dict[str, Tensor]:
    """The terms of CDRED's loss, and the reward."""
    x = torch.cat([zs[:-1], r.action], -1)  # (H, N, L + A)
    targets = torch.stack([r.member("reward_model.targets", k, x) for k in range(5)]).detach()
    mean, second = targets.mean(0), targets.square().mean(0)
    half = N // 2
    drawn = torch.randint(5, (2, H * half)).view(2, H, half)
    loss, bonuses = torch.zeros(H, dtype=torch.float64), []
    for p, part in enumerate((slice(half), slice(half, None))):
        prediction = r.member("reward_model.predictors", p, x)
        index = drawn[p][None, ..., None].expand(1, -1, -1, targets.shape[-1])
        chosen = targets[:, :, part].gather(0, index)[0]
        loss = loss + (prediction[:, part] - chosen).square().mean((1, 2))
        error = (prediction - mean).square().sum(-1, keepdim=True)
        ratio = (prediction.square() - mean.square()).abs() / (second - mean.square() + 1e-6)
        bonuses.append(0.9 * error + 0.1 * ratio.sqrt().mean(-1, keepdim=True))
    reward = (0.2 * bonuses[1] - 0.8 * bonuses[0]).detach()
    w = r.weights[:-1]
    return {"reward_loss": (loss * w).sum() / H, "value_loss": temporal_difference(r, x, reward)}


def temporal_difference(r: Reference, x: Tensor, reward: Tensor) -> Tensor:
    """The loss of all Q on the discrete target of the next latent state."""
    q = torch.stack([r.member("model.q", k, x) for k in range(5)])
    after = r.encode(r.obs[1:]).detach()
    action, _ = r.sample(after)
    pair = torch.randperm(5)[:2]
    joint = torch.cat([after, action], -1)
    values = [decoded(r.member("model.target_q", int(k), joint)) for k in pair]
    target = (reward + GAMMA * torch.minimum(*values)).detach()
    return (cross_entropy(q, target).mean((0, 2, 3)) * r.weights[:-1]).sum() / H


def tdmpc2(r: Reference, zs: Tensor, s: Any) -> dict[str, Tensor]:
    """The terms of an expert's loss: the environment's reward as a distribution over bins."""
    assert r.reward is not None
    x, reward = torch.cat([zs[:-1], r.action], -1), r.reward.double()
    loss = cross_entropy(r.mlp("reward_model.net", x, 2), reward).mean((1, 2))
    return {
        "reward_loss": (loss * r.weights[:-1]).sum() / H,
        "value_loss": temporal_difference(r, x, reward),
    }


def iqmpc(r: Reference, zs: Tensor, s: Any) -> dict[str, Tensor]:
    """The critic's loss, which holds the reward."""
    x, half = torch.cat([zs[:-1], r.action], -1), N // 2
    q = torch.stack([r.member("model.q", k, x) for k in range(5)])

    def value(z: Tensor, net: str) -> Tensor:
        action, entropy = r.sample(z)
        pair = torch.randperm(5)[:2]
        values = [r.member(net, int(k), torch.cat([z, action], -1)) for k in pair]
        return torch.minimum(*values) + r.beta * entropy

    reward = q - GAMMA * value(r.encode(r.obs[1:]).detach(), "model.target_q").detach()
    start = (1 - GAMMA) * value(zs[0, :half], "model.q").mean()
    per_step = -reward[:, :, :half].mean((0, 2, 3)) + reward.square().mean((0, 2, 3)) / 2 + start
    zero = torch.zeros((), dtype=torch.float64)
    return {"reward_loss": zero, "value_loss": (per_step * r.weights[:-1]).sum() / H}


TERMS = {"cdred": cdred, "iqmpc": iqmpc, "true_reward": tdmpc2}


@pytest.mark.parametrize("method", TERMS)
def test_an_update_is_the_authors(method: str) -> None:
    torch.manual_seed(0)
    own = DISTILLATION if method == "cdred" else {}
    s = methods.find(method).settings.preset("paper", **SIZES | own)
    agent = Agent.create("cheetah-run", method, (OBS,), A, s)
    assert isinstance(agent.model, WorldModel) and agent.reward_model is not None
    moved = agent if method == "true_reward" else agent.model  # its reward's last layer is zero
    for parameter in moved.parameters():  # large weights: every term must matter
        parameter.data += 0.2 * torch.randn_like(parameter)
    batch = Batch(torch.randn(H + 1, N, OBS), torch.rand(H, N, A) * 2 - 1, None, num_expert=N // 2)
    if method == "true_reward":
        batch = replace(batch, reward=torch.randn(H, N, 1) * 3)
    learner = Learner(agent.model, agent.reward_model, s, GAMMA, 10)
    r = Reference(agent, batch, s.entropy_coef, s.entropy)

    torch.manual_seed(1)
    zs = r.rollout()
    terms = TERMS[method](r, zs, s)
    terms["consistency_loss"] = r.consistency(zs)
    total = 20 * terms["consistency_loss"] + 0.1 * (terms["value_loss"] + terms["reward_loss"])
    world = [
        n for n in r.p if not n.startswith(("model.policy", "model.target_q", "reward_model.t"))
    ]
    gradients = dict(zip(world, torch.autograd.grad(total, [r.p[n] for n in world]), strict=True))
    norm, factor = r.clip(world, gradients)
    for name in world:
        lr = 3e-4 * (0.3 if name.startswith("model.encoder") else 1)
        r.p[name] = r.adam(name, factor * gradients[name], lr, 1e-8).requires_grad_()
    # The policy, on the updated Q and the latents of before.
    action, entropy = r.sample(zs.detach())
    pair = torch.randperm(5)[:2]
    outputs = [r.member("model.q", int(k), torch.cat([zs.detach(), action], -1)) for k in pair]
    qs = outputs if method == "iqmpc" else [decoded(o) for o in outputs]
    q = torch.stack(qs).mean(0) if method == "true_reward" else torch.minimum(*qs)
    if method != "iqmpc":
        low, high = (torch.quantile(q[0].detach().flatten(), k) for k in (0.05, 0.95))
        q = q / (1 + 0.01 * ((high - low).clamp(min=1) - 1))
    policy_loss = -((1e-4 * entropy + q).mean((1, 2)) * r.weights).mean()
    policy = [n for n in r.p if n.startswith("model.policy")]
    slopes = dict(
        zip(policy, torch.autograd.grad(policy_loss, [r.p[n] for n in policy]), strict=True)
    )
    policy_norm, policy_factor = r.clip(policy, slopes)

    torch.manual_seed(1)
    metrics = learner.update(batch)
    terms |= {"total_loss": total, "grad_norm": norm, "grad_norm_all": norm,
              "policy_loss": policy_loss, "policy_grad_norm": policy_norm}  # fmt: skip
    for name, value in terms.items():
        assert metrics[name].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-9), name
    parameters = dict(agent.named_parameters())
    steps = {name: r.p[name].detach() for name in world} | {
        name: r.adam(name, policy_factor * slopes[name], 3e-4, 1e-5) for name in policy
    }
    gradients |= slopes
    for name, expected in steps.items():
        # Where rounding cannot turn the sign of a gradient, by which Adam's first step goes.
        size = gradients[name].abs()
        clear = size > 1e-5 * size.max() + 1e-6
        difference = (parameters[name].detach().double() - expected).abs()
        assert clear.double().mean() > 0.5 and difference[clear].max() < 1e-5, name
    for name in [n for n in r.p if n.startswith("model.target_q")]:
        expected = r.p[name] + 0.01 * (r.p[name.replace("target_q", "q")].detach() - r.p[name])
        torch.testing.assert_close(parameters[name].double(), expected, rtol=0, atol=1e-6)
    # The second update's norm of all gradients holds the policy's of the first.
    second = learner.update(batch)
    clipped = min(policy_norm.item(), 20.0)
    expected_norm = math.hypot(second["grad_norm"].item(), clipped)
    assert second["grad_norm_all"].item() == pytest.approx(expected_norm, rel=1e-5)


@pytest.mark.parametrize("kind", ["scaled", "squashed", "scaled_squashed"])
@pytest.mark.parametrize("saturated", [False, True])
def test_entropies_and_what_they_say_of_the_mean(kind: str, saturated: bool) -> None:
    """Against SAC's and TD-MPC2's formulas; only the correction pulls the mean to the middle."""
    policy = Policy(methods.find("cdred").settings(entropy=kind, **SIZES), 6)
    mean = torch.full((4000, 6), 2.0 if saturated else 0.3).requires_grad_()
    log_std = torch.full_like(mean, -1.0)
    policy.forward = lambda z: (mean, log_std)  # type: ignore[method-assign]
    torch.manual_seed(0)
    action, entropy = policy.sample(torch.zeros(4000, 24))
    normal = torch.distributions.Normal(mean.double(), log_std.double().exp())
    before = normal.log_prob(action.double().atanh()).sum(-1, keepdim=True)
    correction = (1 - action.double().square() + 1e-6).log().sum(-1, keepdim=True)
    expected = {
        "scaled": -6 * before, "squashed": correction - before,
        "scaled_squashed": correction - 6 * (before + 5 * math.log(2 * math.pi) / 2),
    }[kind]  # fmt: skip
    good = action.abs().amax(-1) < 0.999  # atanh of float32 is exact enough
    torch.testing.assert_close(entropy[good].double(), expected[good], rtol=1e-2, atol=1e-2)
    if kind == "scaled":
        assert not entropy.requires_grad  # it does not depend on the mean
        return
    (gradient,) = torch.autograd.grad(entropy.mean(), mean)
    # -2 tanh(u) of log(1 - tanh(u)^2), for each dimension alone
    expected_pull = (2 * (mean + torch.randn_like(mean) * log_std.exp()).tanh()).mean()
    assert -gradient.sum(0).mean().item() == pytest.approx(expected_pull.item(), rel=0.05)


@pytest.mark.parametrize("kind", ["min", "mean"])
def test_the_policy_improves_on_the_q_of_its_settings(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = methods.find("true_reward").settings(policy_q=kind, entropy_coef=0.0, **SIZES)
    agent = Agent.create("cheetah-run", "true_reward", (OBS,), A, s)
    assert isinstance(agent.model, WorldModel) and agent.reward_model is not None
    learner = Learner(agent.model, agent.reward_model, s, GAMMA, 10)
    pair = torch.tensor([1.0, 3.0])[:, None, None, None].expand(2, H + 1, 4, 1)
    monkeypatch.setattr(agent.model, "q_pair", lambda z, action: pair)
    loss, _ = learner.policy_loss(torch.rand(H + 1, 4, 24))
    weights = RHO ** torch.arange(H + 1)
    torch.testing.assert_close(loss, -weights.mean() * (1.0 if kind == "min" else 2.0))


def test_defaults_are_those_of_each_authors_code() -> None:
    def of(method: str, *names: str) -> list[Any]:
        s = methods.find(method).settings.preset("paper")
        return [getattr(s, name) for name in names]

    names = ("lr_schedule", "buffer_size", "policy_q", "entropy")
    assert of("true_reward", *names) == ["constant", 1_000_000, "mean", "scaled"]
    assert of("cdred", *names) == ["step", 200_000, "min", "scaled_squashed"]
    assert of("iqmpc", *names) == ["constant", 1_000_000, "min", "scaled_squashed"]
    for adversary in ("red", "gail", "sail"):  # the reward is all that differs
        assert of(adversary, *names) == of("cdred", *names)

    actor = ("entropy", "entropy_coef", "policy_learning_rate", "num_q", "mlp_dim", "activation")
    assert of("iqlearn", *actor) == ["squashed", 0.01, 3e-5, 2, 256, "relu"]
    assert of("iqlearn", "tau", "dropout", "lr_schedule", "iq_start") == [
        0.005, 0.0, "constant", "v0",
    ]  # fmt: skip
    flows = ("flow_transforms", "predictor_dim", "predictor_layers", "flow_activation")
    assert of("cfil", *flows) == [1, 256, 2, "relu"]
    learned = ("flow_noise_kind", "flow_noise", "flow_likelihood_coef", "flow_learning_rate",
               "flow_update_every", "entropy", "entropy_coef")  # fmt: skip
    assert of("cfil", *learned) == ["relative", 0.25, 1.0, 1e-3, 100, "squashed", 0.2]
    witness = ("model_free", "mpc", "reward_space", "gradient_penalty", "discriminator_dim",
               "discriminator_learning_rate")  # fmt: skip
    assert of("hype", *witness) == [True, False, "observation", 10.0, 256, 8e-4]


def test_the_policy_has_a_learning_rate_of_its_own() -> None:
    """IQ-Learn's actor: Adam's first step is at most its rate."""
    s = methods.find("iqlearn").settings.preset("paper", **SIZES)
    agent = Agent.create("cheetah-run", "iqlearn", (OBS,), A, s)
    assert isinstance(agent.model, WorldModel) and agent.reward_model is not None
    for parameter in agent.model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    before = {name: value.detach().clone() for name, value in agent.model.named_parameters()}
    batch = Batch(torch.randn(H + 1, N, OBS), torch.rand(H, N, A) * 2 - 1, None, num_expert=N // 2)
    Learner(agent.model, agent.reward_model, s, GAMMA, 10).update(batch)
    for part, rate in {"policy": 3e-5, "q": 3e-4, "encoder": 3e-4}.items():
        steps = [
            (value - before[name]).abs().max().item()
            for name, value in agent.model.named_parameters()
            if name.startswith(f"{part}.")
        ]
        assert max(steps) == pytest.approx(rate, rel=0.02), part
