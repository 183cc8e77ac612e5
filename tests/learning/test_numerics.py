"""The learner's arithmetic against independent float64 references written from the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.learning import forward, tiny
from torch import nn

from cdred import methods
from cdred.learning import graph
from cdred.learning.agent import Agent
from cdred.learning.derived import discount
from cdred.learning.learner import Learner
from cdred.learning.networks import (
    EnsembleMLP,
    PixelEncoder,
    SimNorm,
    dropout_mask,
    mish,
    random_shift,
)
from cdred.learning.planner import Planner
from cdred.learning.replay import Batch
from cdred.learning.reward_model import RewardModel
from cdred.learning.scale import RunningScale
from cdred.learning.twohot import soft_cross_entropy, two_hot, two_hot_inverse
from cdred.methods.cdred.reward import CoupledRND
from cdred.methods.cdred.settings import CdredSettings

TINY = tiny()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_mish_for_the_compiler_is_mish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients where it bends, and far out, where a plain quotient overflows."""
    x = torch.cat([torch.linspace(-30, 30, 601), torch.tensor([-1e4, -90.0, 60.0, 90.0, 1e4])])
    exact = x.double().requires_grad_()
    (wanted,) = torch.autograd.grad(F.mish(exact).sum(), exact)
    monkeypatch.setattr(graph, "_tracing", True)
    own = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mish(own).sum(), own)
    torch.testing.assert_close(mish(x).double(), F.mish(exact).detach(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(gradient.double(), wanted, rtol=1e-6, atol=1e-6)
    assert mish(torch.tensor(torch.nan)).isnan()


def test_dropout_zeroes_each_unit_by_itself_with_its_probability() -> None:
    p, shape = 0.05, (4, 500, 250)
    mask = dropout_mask(shape, p, torch.device("cpu"))
    assert mask.shape == shape
    torch.testing.assert_close(mask.unique(), torch.tensor([0, 1 / (1 - p)]))
    zero = (mask == 0).double().flatten()
    spread = (p * (1 - p) / zero.numel()) ** 0.5
    assert abs(zero.mean() - p) < 4 * spread
    both = (zero[1:] * zero[:-1]).mean()  # neighbours know nothing of each other
    assert abs(both - p**2) < 4 * (p**2 * (1 - p**2) / zero.numel()) ** 0.5
    ends = [dropout_mask((20,), p, torch.device("cpu")) == 0 for _ in range(4000)]
    per_unit = torch.stack(ends).double().mean(0)  # the first and the last as any other
    assert (per_unit - p).abs().max() < 5 * (p * (1 - p) / 4000) ** 0.5


def test_an_ensemble_drops_units_only_while_it_trains() -> None:
    net = EnsembleMLP(3, 4, [200], 5, "silu", dropout=0.3)
    x = torch.randn(1, 6, 4)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


@pytest.mark.parametrize("transform", ["identity", "exp"])
def test_cdred_reward_is_the_papers_formula(transform: str) -> None:
    s = tiny(alpha=0.7, zeta=0.6, sigma=1.3, transform=transform)
    model = CoupledRND(s, (5,), 3)
    for parameter in model.parameters():  # large weights: the ratio term must matter
        parameter.data.normal_(0, 0.5)
    z, action = torch.rand(7, 16), torch.rand(7, 3) * 2 - 1
    x = torch.cat([z, action], -1).double().numpy()

    targets = np.stack([forward(model.targets, k, x) for k in range(s.num_targets)])
    mu, b2 = targets.mean(0), (targets**2).mean(0)
    variance = b2 - mu**2 + 1e-6

    def bonus(g: np.ndarray) -> np.ndarray:
        error = ((g - mu) ** 2).sum(-1)
        ratio = np.sqrt(np.abs(g**2 - mu**2) / variance).mean(-1)
        return s.alpha * error + (1 - s.alpha) * ratio

    def transformed(b: np.ndarray) -> np.ndarray:
        return np.exp(-s.sigma * b) if transform == "exp" else -s.sigma * b

    expert, behaviour = (bonus(forward(model.predictors, k, x)) for k in (0, 1))
    expected = s.zeta * transformed(expert) - (1 - s.zeta) * transformed(behaviour)
    found = model(z, action)[:, 0].detach().double().numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


def test_red_is_the_expert_term_alone() -> None:
    model = methods.load(methods.find("red").reward_model)(tiny("red"), (5,), 3)
    z, action = torch.rand(5, 16), torch.rand(5, 3)
    torch.testing.assert_close(model(z, action), -TINY.sigma * model.bonuses(z, action)[0])


def test_each_predictor_learns_from_its_own_stream_alone() -> None:
    from cdred.learning.replay import Batch

    model = CoupledRND(TINY, (5,), 3)
    z = torch.rand(3, 8, 16, requires_grad=True)
    action, weights = torch.rand(3, 8, 3), torch.tensor([1.0, 0.5, 0.25])
    batch = Batch(torch.zeros(4, 8, 1), action, None, num_expert=4)
    torch.manual_seed(1)
    loss, reward, metrics = model.loss(z, action, batch, weights)
    torch.testing.assert_close(reward, model(z, action).detach())
    per_stream = [metrics["expert_predictor_loss"], metrics["behaviour_predictor_loss"]]
    torch.testing.assert_close(loss.detach(), per_stream[0] + per_stream[1])
    (gradient,) = torch.autograd.grad(loss, z)
    assert gradient.abs().sum((0, 2)).min() > 0  # the loss flows into every latent
    # The reference, from the definition, with the same draws of targets.
    torch.manual_seed(1)
    drawn = torch.randint(TINY.num_targets, (2, 12))
    for stream in (0, 1):
        x = torch.cat([z, action], -1)[:, 4 * stream : 4 * stream + 4].reshape(12, 19)
        targets = torch.stack(
            [model.targets(x[None])[k, n] for n, k in enumerate(drawn[stream].tolist())]
        )
        error = (model.predictors(x[None].expand(2, -1, -1))[stream] - targets).square().mean(-1)
        expected = (error.view(3, 4).mean(1) * weights).sum() / 3
        torch.testing.assert_close(per_stream[stream], expected.detach())


@pytest.mark.parametrize(
    ("task", "obs_dim", "action_dim", "count"),
    [
        ("cheetah-run", 17, 6, 10_174_981),
        ("humanoid-walk", 67, 21, 10_279_971),
        ("dog-stand", 223, 38, 10_424_389),
    ],
)
def test_trainable_parameters_are_the_papers(
    task: str, obs_dim: int, action_dim: int, count: int
) -> None:
    agent = Agent.create(task, "cdred", [obs_dim], action_dim, CdredSettings())
    assert sum(p.numel() for p in agent.parameters() if p.requires_grad) == count


def test_two_hot_inverts_and_is_exact_between_bins() -> None:
    x = torch.tensor([[-3000.0], [-1.0], [0.0], [0.3], [7.0], [950.0], [20_000.0]])
    encoded = two_hot(x.double(), 101, 10.0)
    torch.testing.assert_close(encoded.sum(-1), torch.ones(7).double())
    assert (encoded > 0).sum(-1).max() <= 2
    # As logits of that very distribution, decoding gives the number back.
    decoded = two_hot_inverse(encoded.clamp(min=1e-300).log(), 10.0)
    torch.testing.assert_close(decoded, x.double(), rtol=1e-9, atol=1e-9)
    beyond = two_hot_inverse(two_hot(torch.tensor([[1e9]]).double(), 101, 10.0).log(), 10.0)
    torch.testing.assert_close(beyond, torch.tensor([[10.0]]).double().expm1())


def test_soft_cross_entropy_matches_torch() -> None:
    logits, target = torch.randn(6, 11), torch.rand(6, 11).softmax(-1)
    torch.testing.assert_close(
        soft_cross_entropy(logits, target)[:, 0], F.cross_entropy(logits, target, reduction="none")
    )


def test_ensemble_is_its_members() -> None:
    net = EnsembleMLP(4, 5, [16, 16], 3, "silu", init="random_target")
    x = torch.randn(9, 5)
    expected = np.stack([forward(net, k, x.double().numpy()) for k in range(4)])
    found = net(x[None]).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    chosen = net(x[None], torch.tensor([2, 0])).detach().numpy()
    np.testing.assert_allclose(chosen, found[[2, 0]], rtol=1e-5, atol=1e-6)


def test_random_targets_begin_as_those_of_the_authors() -> None:
    """Hidden layers orthogonal, without bias; the last within nn.Linear's bounds, with bias."""
    net = EnsembleMLP(2, 24, [16, 32], 400, "mish", init="random_target")
    for layer, smaller in ((0, 16), (1, 16)):
        assert not net.bias[layer].any()
        for weight in net.weight[layer]:
            gram = weight.T @ weight if weight.shape[1] == smaller else weight @ weight.T
            torch.testing.assert_close(gram, torch.eye(smaller), rtol=0, atol=1e-5)
    assert not torch.equal(net.weight[0][0], net.weight[0][1])
    for last in (net.weight[2], net.bias[2]):
        assert 0.99 * 32**-0.5 < last.abs().max() <= 32**-0.5
        assert abs(last.mean()) < 0.01


def test_simnorm_is_tdmpc2s_up_to_the_order_of_features() -> None:
    x = torch.randn(4, 24)
    reference = x.view(4, 8, 3).transpose(1, 2).reshape(4, 3, 8).softmax(-1)  # 3 groups of 8
    torch.testing.assert_close(SimNorm(8)(x).view(4, 8, 3).transpose(1, 2), reference)


def test_frames_are_moved_as_a_crop_of_the_padded_frame() -> None:
    """DrQ's augmentation: pad by repeating the edge, crop at random; every place is drawn."""
    frames = torch.randint(0, 256, (1000, 9, 16, 16), dtype=torch.uint8)
    moved = random_shift(frames, pad=3)
    padded = np.pad(frames.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
    found = set()
    for frame, source in zip(moved.numpy(), padded, strict=True):
        crops = [
            (y, x)
            for y in range(7)
            for x in range(7)
            if np.array_equal(source[:, y : y + 16, x : x + 16], frame)
        ]
        assert len(crops) == 1
        found.update(crops)
    assert len(found) == 49


def test_pixels_become_the_papers_latent_state() -> None:
    encoder = PixelEncoder((9, 64, 64), 32, 512, 8)
    obs = torch.randint(0, 256, (4, 3, 9, 64, 64), dtype=torch.uint8)  # horizon, batch, ...
    z = encoder.eval()(obs)
    assert z.shape == (4, 3, 512)
    torch.testing.assert_close(z.sum(-1), torch.full((4, 3), 512 / 8))  # groups that sum to one
    assert torch.equal(encoder(obs), z)
    assert not torch.equal(encoder.train()(obs), z)  # shifted, while it trains alone
    assert PixelEncoder((9, 64, 64), 8, 64, 8)(obs).shape == (4, 3, 64)  # another size: projected


def test_losses_of_world_model_and_value_are_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latent roll-out, consistency loss, TD target and value loss, sample by sample in float64."""
    s = tiny(horizon=3, rho=0.7, batch_size=4, num_bins=11, symlog_max=3.0)
    agent = Agent.create("cup-catch", "cdred", (8,), 2, s)
    model, reward_model, gamma = agent.world_model, agent.reward_model, 0.9
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.4)
    monkeypatch.setattr(  # the policy's noise has no part in this
        model.policy, "sample", lambda z: (model.policy.mean(z), torch.zeros(*z.shape[:-1], 1))
    )
    learner = Learner(model, reward_model, s, gamma, 10)  # type: ignore[arg-type]
    n = 2 * s.batch_size
    obs, action = torch.randn(4, n, 8), torch.rand(3, n, 2) * 2 - 1
    _, zs, metrics = learner.world_loss(Batch(obs, action, None, s.batch_size))

    def linear(net: nn.Sequential, x: np.ndarray) -> np.ndarray:
        """Linear, LayerNorm, SiLU and so on; SimNorm, if it ends so, over strided groups of 8."""
        for layer in net:
            if isinstance(layer, nn.Linear):
                x = x @ layer.weight.detach().double().numpy().T
                x = x + layer.bias.detach().double().numpy()
            elif isinstance(layer, nn.LayerNorm):
                x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
                x = x * layer.weight.detach().double().numpy()
                x = x + layer.bias.detach().double().numpy()
            elif isinstance(layer, SimNorm):
                groups = np.exp(x).reshape(*x.shape[:-1], 8, -1)
                x = (groups / groups.sum(-2, keepdims=True)).reshape(x.shape)
            else:
                x = x / (1 + np.exp(-x))
        return x

    def probabilities(logits: np.ndarray) -> np.ndarray:
        shifted = np.exp(logits - logits.max(-1, keepdims=True))
        return shifted / shifted.sum(-1, keepdims=True)

    bins = np.linspace(-3.0, 3.0, 11)

    def two_bins(value: float) -> np.ndarray:
        """Weights that have the right mean in symlog space, on the two nearest bins."""
        at = np.clip(np.sign(value) * np.log1p(abs(value)), -3.0, 3.0)
        low = min(int(np.floor((at + 3.0) / 0.6)), 9)
        weights = np.zeros(11)
        weights[low + 1] = (at - bins[low]) / 0.6
        weights[low] = 1 - weights[low + 1]
        return weights

    consistency = value = 0.0
    for k in range(n):
        z = linear(model.encoder, obs[0, k].double().numpy())
        for t in range(3):
            np.testing.assert_allclose(zs[t, k].detach().numpy(), z, rtol=1e-4, atol=1e-6)
            za = np.concatenate([z, action[t, k].double().numpy()])
            z_after = linear(model.encoder, obs[t + 1, k].double().numpy())
            mean = linear(model.policy.net, z_after)[:2]
            za_after = np.concatenate([z_after, np.tanh(mean)])[None]
            q_after = []
            for member in range(2):
                symlog = probabilities(forward(model.target_q, member, za_after))[0] @ bins
                q_after.append(np.sign(symlog) * np.expm1(abs(symlog)))
            with torch.no_grad():
                reward = reward_model(
                    torch.tensor(z, dtype=torch.float32)[None], action[t, k][None]
                ).item()
            target = two_bins(reward + gamma * min(q_after))
            z = linear(model.dynamics, za)
            consistency += s.rho**t * ((z - z_after) ** 2).mean() / (n * 3)
            for member in range(2):
                predicted = probabilities(forward(model.q, member, za[None]))[0]
                value -= s.rho**t * target @ np.log(predicted) / (n * 3 * 2)
    assert metrics["consistency_loss"].item() == pytest.approx(consistency, rel=1e-4)
    assert metrics["value_loss"].item() == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(("length", "expected"), [(500, 0.99), (100, 0.95), (10_000, 0.995)])
def test_discount_rule(length: int, expected: float) -> None:
    assert discount(length, CdredSettings()) == pytest.approx(expected)


def test_running_scale_follows_the_percentile_range_and_never_amplifies() -> None:
    scale = RunningScale(0.5)
    q = torch.linspace(0, 100, 1001)
    scale.update(q)
    assert scale.value.item() == pytest.approx(0.5 * 1 + 0.5 * 90, rel=1e-4)
    for _ in range(50):
        scale.update(torch.full((10,), 3.0))
    assert scale.value.item() == pytest.approx(1.0, rel=1e-4)


class KnownWorld(nn.Module):
    """z' = z + a / 2; the planner's view of a world whose best actions are known."""

    def policy(self) -> None: ...

    def next(self, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return z + action / 2

    def q_pair(self, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return torch.zeros(2, *z.shape[:-1], 1)


def known_planner(reward, **changes) -> Planner:  # type: ignore[no-untyped-def]
    class Uninformed:
        def sample(self, z: torch.Tensor) -> tuple[torch.Tensor, None]:
            return torch.rand_like(z) * 2 - 1, None

    class Given(RewardModel):
        def forward(self, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return reward(z, action)

    world = KnownWorld()
    world.policy = Uninformed()  # type: ignore[assignment, method-assign]
    settings = CdredSettings(plan_min_std=0.01, plan_iterations=12, **changes)
    return Planner(world, Given(), settings, 0.99, 2)  # type: ignore[arg-type]


def test_mppi_finds_a_known_optimum() -> None:
    # Reward -|z + a/2 - goal|^2 with z = 0: the first best action is 2 * goal.
    goal = torch.tensor([0.3, -0.2])
    planner = known_planner(lambda z, a: -(z + a / 2 - goal).square().sum(-1, keepdim=True))
    actions = planner.plan(torch.zeros(5, 2), explore=False)
    torch.testing.assert_close(actions, (2 * goal).expand(5, 2), atol=0.08, rtol=0)


def test_mppi_never_prefers_a_value_that_is_not_a_number() -> None:
    def reward(z: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        value = -10 - (a - 0.5).square().sum(-1, keepdim=True)
        return torch.where(a[..., :1] < 0, torch.nan, value)

    actions = known_planner(reward).plan(torch.zeros(8, 2), explore=False)
    assert (actions[:, 0] > 0).all()
    nowhere = known_planner(lambda z, a: torch.full_like(a[..., :1], torch.nan))
    assert nowhere.plan(torch.zeros(8, 2), explore=False).abs().max() <= 1


def test_all_plans_of_an_iteration_are_valued_by_the_same_q(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The policy's as well: what two Q drawn are larger than others cancels out."""

    def drawn(self: KnownWorld, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return 1000 * torch.randn(()) * torch.ones(2, *z.shape[:-1], 1)

    monkeypatch.setattr(KnownWorld, "q_pair", drawn)
    test_mppi_finds_a_known_optimum()
