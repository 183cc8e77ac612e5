"""Training on a real environment: deterministic, blind to rewards in imitation, and restorable."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.learning import demonstrations, toy, train, weights

import cdred
from cdred import methods
from cdred.errors import CdredError
from cdred.learning import online_trainer, saving
from cdred.learning.train import train as train_agent


@pytest.mark.parametrize("method", methods.folders())
def test_same_seed_same_bytes(method: str, tmp_path: Path) -> None:
    hashes, agents = [], []
    for name in ("one", "two"):
        agent, history = train(method)
        agents.append(weights(agent))
        (tmp_path / name).mkdir()
        saving.write(tmp_path / name, agent, history)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        hashes.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in files])
        assert {p.name for p in files} == {
            "config.json", "model.safetensors", "curve.csv", "metrics.csv",
        }  # fmt: skip
    assert hashes[0] == hashes[1]
    assert weights(train(method, seed=4)[0]) not in agents


@pytest.mark.parametrize("method", ["cdred", pytest.param("bc", marks=pytest.mark.slow)])
def test_pixels_are_learned_from_alike(method: str, tmp_path: Path) -> None:
    """Agents of pixels: the same bytes for a seed, and the same actions when loaded again."""
    steps = {"steps": 20, "eval_every": 20}
    if method != "bc":
        steps = {"steps": 110, "eval_every": 110, "seed_steps": 100}
    small = toy(method, conv_channels=4, **steps)
    demos, found = demonstrations(pixels=True), []
    for _ in range(2):
        agent, history = train_agent(
            "mw-reach", method, small, 3, demos, torch.device("cpu"), obs="rgb"
        )
        found.append(weights(agent))
    assert found[0] == found[1]
    assert agent.obs == "rgb"
    saving.write(tmp_path, agent, history)
    again = cdred.Agent.from_pretrained(tmp_path / "pretrained_model").eval()
    frames = demos[0].obs[:4]
    actions = []
    for either in (agent.eval(), again):
        torch.manual_seed(0)
        actions.append(either.act(frames))
    np.testing.assert_array_equal(*actions)
    assert np.ptp(actions[0]) > 0  # they depend on what is seen


@pytest.mark.parametrize(
    "method", [m.name for m in methods.built_in() if m.imitates and m.interacts]
)
def test_imitation_never_uses_the_environments_reward(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, honest_history = train(method)
    make = online_trainer.make

    def scrambled(*args, **kwargs):  # type: ignore[no-untyped-def]
        env = make(*args, **kwargs)
        step, rng = env.step, np.random.default_rng(1)

        def wrong(action):  # type: ignore[no-untyped-def]
            obs, _, terminated, truncated, info = step(action)
            return obs, float(rng.normal()), terminated, truncated, info

        env.step = wrong
        return env

    monkeypatch.setattr(online_trainer, "make", scrambled)
    misled, misled_history = train(method)
    assert weights(honest) == weights(misled)
    assert honest_history.metrics == misled_history.metrics
    # The same scrambling does change an expert, which learns from that reward.
    monkeypatch.setattr(online_trainer, "make", make)
    expert = train("true_reward")[0]
    monkeypatch.setattr(online_trainer, "make", scrambled)
    assert weights(expert) != weights(train("true_reward")[0])


@pytest.mark.parametrize("method", ["true_reward", "cdred", "bc"])
def test_a_saved_agent_acts_and_rewards_the_same(method: str, tmp_path: Path) -> None:
    agent, history = train(method)
    saving.write(tmp_path, agent, history)
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
    often, _ = train("cdred", eval_every=60)
    assert weights(often) == weights(train("cdred")[0])


def test_an_expert_may_be_kept_at_the_best_point_of_its_curve() -> None:
    """The same training, but the weights of that point."""
    changes = {"eval_every": 510, "steps": 1040, "lr_schedule": "constant", "average": 0.0}
    last, history = train("true_reward", **changes)
    best, again = train("true_reward", **changes, keep="best")
    assert again.curve == history.curve
    top = max(history.curve, key=lambda row: row["return_mean"])
    assert top["step"] < 1040, "this seed ends at its best: nothing is tested"
    stopped, _ = train("true_reward", **changes | {"steps": int(top["step"])})
    assert weights(best) == weights(stopped) != weights(last)


def test_acting_by_planning_is_an_option_and_deterministic() -> None:
    planning = {
        "mpc": True, "plan_samples": 32, "plan_elites": 8, "plan_policy_samples": 4, "steps": 510,
    }  # fmt: skip
    assert weights(train("cdred", **planning)[0]) == weights(train("cdred", **planning)[0])


def test_an_agent_that_explores_by_its_policy_may_be_evaluated_by_planning() -> None:
    planned = {
        "eval_policy": "plan", "plan_iterations": 2, "plan_samples": 32, "plan_elites": 8,
    }  # fmt: skip
    agent, history = train("cdred", **planned)
    other, by_policy = train("cdred")
    assert weights(agent) == weights(other)  # nothing else changes
    assert history.curve[-1]["return_mean"] != by_policy.curve[-1]["return_mean"]
    agent.act(np.zeros((1, 5), np.float32), explore=True)
    assert agent.acting_state() is None
    agent.act(np.zeros((1, 5), np.float32))
    assert agent.acting_state() is not None


def test_a_loss_that_is_not_a_number_stops_the_run_by_name() -> None:
    with pytest.raises(FloatingPointError, match="loss is"):
        train("bc", learning_rate=1e12, steps=50)


@pytest.mark.parametrize("planning", [False, True])
def test_a_training_that_diverges_is_told_by_its_loss_not_by_the_simulator(planning: bool) -> None:
    plans = {"mpc": True, "plan_samples": 8, "plan_elites": 4, "plan_policy_samples": 2}
    with pytest.raises(FloatingPointError, match=r"loss is \S+ at update"):
        train("cdred", learning_rate=1e12, **(plans if planning else {}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"updates_per_step": 0.0}, "no update in 540 steps; nothing was learned"),
        ({"seed_steps": 600}, "no update in 540 steps; nothing was learned"),
        ({"steps": 499}, "no update in 499 steps, as none of its 0 episodes had as many as"),
        ({"horizon": 51}, "horizon: 51 is longer than the shortest demonstration, of 50 steps"),
    ],
)  # fmt: skip
def test_a_training_without_an_update_makes_no_agent(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CdredError, match=message):
        train("cdred", **changes)
