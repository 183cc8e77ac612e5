"""Training on a real environment: deterministic, blind to rewards in imitation, and restorable."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cdred
from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE
from cdred.learning import interaction, trainer, training
from cdred.learning.settings import SMALL, Settings

TASK = "cartpole-balance"
TOY = replace(
    Settings(**SMALL), latent_dim=16, encoder_dim=16, mlp_dim=16, rnd_dim=8, target_dim=16,
    predictor_dim=16, batch_size=8, steps=540, seed_steps=500, updates_per_step=0.1,
    eval_every=540, eval_episodes=1, log_every=10,
)  # fmt: skip


def demonstrations(count: int = 2, pixels: bool = False) -> list[Episode]:
    """Random ones for TASK, or with `pixels` for a task of Meta-World, whose episodes are short."""
    rng = np.random.default_rng(0)
    return [
        Episode(
            rng.integers(0, 256, (51, *PIXEL_SHAPE), np.uint8)
            if pixels
            else rng.normal(size=(51, 5)).astype(np.float32),
            rng.uniform(-1, 1, (50, 4 if pixels else 1)).astype(np.float32),
            np.zeros(50, np.float32), None, k,
        )
        for k in range(count)
    ]  # fmt: skip


def train(method: str, seed: int = 3, s: Settings = TOY) -> tuple[cdred.Agent, trainer.History]:
    demos = [] if method == "expert" else demonstrations()
    return training.train(TASK, method, s, seed, demos, torch.device("cpu"))


def weights(agent: torch.nn.Module) -> str:
    blob = b"".join(v.detach().numpy().tobytes() for v in agent.state_dict().values())
    return hashlib.sha256(blob).hexdigest()


@pytest.mark.parametrize("method", ["expert", "cdred", "red", "iqmpc", "cfil", "bc"])
def test_same_seed_same_bytes(method: str, tmp_path: Path) -> None:
    hashes = []
    for name in ("one", "two"):
        agent, history = train(method)
        (tmp_path / name).mkdir()
        training.write(tmp_path / name, agent, history)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        hashes.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in files])
        assert {p.name for p in files} == {
            "config.json", "model.safetensors", "curve.csv", "metrics.csv",
        }  # fmt: skip
    assert hashes[0] == hashes[1]
    assert weights(train(method, seed=4)[0]) != weights(train(method, seed=3)[0])


@pytest.mark.parametrize("method", ["cdred", "bc"])
def test_pixels_are_learned_from_alike(method: str, tmp_path: Path) -> None:
    """Agents of pixels: the same bytes for a seed, and the same actions when loaded again."""
    small = replace(TOY, conv_channels=4, steps=110, seed_steps=100, eval_every=110)
    demos, found = demonstrations(pixels=True), []
    for _ in range(2):
        agent, history = training.train(
            "mw-reach", method, small, 3, demos, torch.device("cpu"), obs="rgb"
        )
        found.append(weights(agent))
    assert found[0] == found[1]
    assert agent.obs == "rgb"
    training.write(tmp_path, agent, history)
    again = cdred.Agent.from_pretrained(tmp_path / "pretrained_model").eval()
    frames = demos[0].obs[:4]
    actions = []
    for either in (agent.eval(), again):
        torch.manual_seed(0)
        actions.append(either.act(frames))
    np.testing.assert_array_equal(*actions)
    assert np.ptp(actions[0]) > 0  # they depend on what is seen


@pytest.mark.parametrize("method", ["cdred", "red", "iqmpc", "cfil"])
def test_imitation_never_uses_the_environments_reward(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, honest_history = train(method)
    make = interaction.make

    def scrambled(*args, **kwargs):  # type: ignore[no-untyped-def]
        env = make(*args, **kwargs)
        step, rng = env.step, np.random.default_rng(1)

        def wrong(action):  # type: ignore[no-untyped-def]
            obs, _, terminated, truncated, info = step(action)
            return obs, float(rng.normal()), terminated, truncated, info

        env.step = wrong
        return env

    monkeypatch.setattr(interaction, "make", scrambled)
    misled, misled_history = train(method)
    assert weights(honest) == weights(misled)
    assert honest_history.metrics == misled_history.metrics
    # The same scrambling does change an expert, which learns from that reward.
    monkeypatch.setattr(interaction, "make", make)
    expert = train("expert")[0]
    monkeypatch.setattr(interaction, "make", scrambled)
    assert weights(expert) != weights(train("expert")[0])


@pytest.mark.parametrize("method", ["expert", "cdred", "bc"])
def test_a_saved_agent_acts_and_rewards_the_same(method: str, tmp_path: Path) -> None:
    agent, history = train(method)
    training.write(tmp_path, agent, history)
    again = cdred.Agent.from_pretrained(tmp_path / "pretrained_model").eval()
    obs = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    actions = []
    for either in (agent, again):
        torch.manual_seed(0)  # a sampling policy draws the same noise
        actions.append(either.act(obs))
    np.testing.assert_array_equal(*actions)
    assert again.settings == agent.settings and again.method == method
    if agent.reward_model is not None:
        z, action = torch.rand(6, 16), torch.rand(6, 1)
        assert again.reward_model is not None
        assert torch.equal(agent.reward_model(z, action), again.reward_model(z, action))


def test_evaluating_more_often_does_not_change_what_is_learned() -> None:
    often, _ = train("cdred", s=replace(TOY, eval_every=60))
    assert weights(often) == weights(train("cdred")[0])


def test_an_expert_may_be_kept_at_the_best_point_of_its_curve() -> None:
    """The same training, but the weights of that point."""
    settings = replace(TOY, eval_every=510, steps=1040, lr_schedule="constant")
    last, history = train("expert", s=settings)
    best, again = train("expert", s=replace(settings, keep="best"))
    assert again.curve == history.curve
    top = max(history.curve, key=lambda row: row["return_mean"])
    assert top["step"] < 1040, "this seed ends at its best: nothing is tested"
    stopped, _ = train("expert", s=replace(settings, steps=int(top["step"])))
    assert weights(best) == weights(stopped) != weights(last)


def test_acting_by_planning_is_an_option_and_deterministic() -> None:
    planning = replace(
        TOY, mpc=True, plan_samples=32, plan_elites=8, plan_policy_samples=4, steps=510
    )
    assert weights(train("cdred", s=planning)[0]) == weights(train("cdred", s=planning)[0])


def test_an_agent_that_explores_by_its_policy_may_be_evaluated_by_planning() -> None:
    planned = replace(TOY, eval_policy="plan", plan_iterations=2, plan_samples=32, plan_elites=8)
    agent, history = train("cdred", s=planned)
    other, by_policy = train("cdred", s=TOY)
    assert weights(agent) == weights(other)  # nothing else changes
    assert history.curve[-1]["return_mean"] != by_policy.curve[-1]["return_mean"]
    agent.act(np.zeros((1, 5), np.float32), explore=True)
    assert agent.acting_state() is None
    agent.act(np.zeros((1, 5), np.float32))
    assert agent.acting_state() is not None


def test_a_loss_that_is_not_a_number_stops_the_run_by_name() -> None:
    with pytest.raises(FloatingPointError, match="loss is"):
        train("bc", s=replace(TOY, learning_rate=1e30, steps=50))
