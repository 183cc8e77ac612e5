"""Averaged weights: by the formula, beside the training without a trace in it, resumed to the byte."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.learning import TASK, demonstrations, toy, train, weights
from torch import Tensor, nn

from cdred.learning.average import WeightAverage
from cdred.learning.learner import Learner
from cdred.learning.monitor import Monitor
from cdred.learning.train import train as train_agent

# Two points of the curve, updates before the first and between both.
TWICE: dict[str, Any] = {"eval_every": 520}


def expected(history: list[np.ndarray], decay: float) -> np.ndarray:
    """The mean in float64: plain over the first 1 / (1 - decay) updates, exponential from there."""
    first = round(1 / (1 - decay))
    mean = np.mean(history[:first], 0, np.float64)
    for value in history[first:]:
        mean = decay * mean + (1 - decay) * value
    return mean


def test_the_mean_follows_the_formula_and_leaves_the_rest_as_it_is() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net[0].bias.requires_grad_(False)  # as random targets are
    average, history = WeightAverage(net, 0.75), []
    for update in range(1, 13):
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(torch.randn_like(p))
        average.add(update)
        history.append(net[0].weight.detach().numpy().copy())
        own = {name: value.clone() for name, value in net.state_dict().items()}
        with average.applied():
            np.testing.assert_allclose(
                net[0].weight.detach(), expected(history, 0.75), rtol=1e-5, atol=1e-6
            )
            assert torch.equal(net[0].bias, own["0.bias"])
        assert all(torch.equal(value, own[name]) for name, value in net.state_dict().items())


def test_a_training_by_its_mean_is_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, by_last = train("cdred", **TWICE)
    policies: list[np.ndarray] = []
    step = Learner.step

    def recorded(self: Learner, batch: Any) -> Tensor:
        metrics = step(self, batch)
        policies.append(
            nn.utils.parameters_to_vector(self.model.policy.parameters()).detach().numpy()
        )
        return metrics

    monkeypatch.setattr(Learner, "step", recorded)
    agent, by_mean = train("cdred", average=0.9, **TWICE)
    assert by_mean.metrics == by_last.metrics
    assert [r["return_mean"] for r in by_mean.curve] != [r["return_mean"] for r in by_last.curve]
    assert weights(agent) != weights(plain)
    saved = nn.utils.parameters_to_vector(agent.world_model.policy.parameters()).detach()
    np.testing.assert_allclose(saved, expected(policies, 0.9), rtol=1e-4, atol=1e-6)


class Interrupted(Monitor):
    """Keeps the state of one step, as a file would, and ends the training there."""

    def __init__(self, at: int) -> None:
        self.at, self.step, self.file = at, 0, io.BytesIO()

    def progress(self, done: int, highlights: dict[str, float]) -> None:
        self.step = done

    def save_state(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        if self.step == self.at:
            torch.save(state(), self.file)
            raise KeyboardInterrupt


class Resumed(Monitor):
    def __init__(self, file: io.BytesIO) -> None:
        self.file = file

    def saved(self) -> dict[str, Any]:
        return torch.load(io.BytesIO(self.file.getvalue()), weights_only=True)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    "at",  # between two updates; before one, after the last
    [530, *(pytest.param(at, marks=pytest.mark.slow) for at in (300, 540))],
)
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("cdred", {}),
        ("cdred", {"precision": "bfloat16"}),
        ("bc", {}),
        ("true_reward", {"keep": "best"}),
    ],
    ids=["cdred", "cdred in bfloat16", "bc", "the best of an expert"],
)
def test_resumed_to_the_byte(
    method: str, changes: dict[str, Any], at: int, uninterrupted: dict[str, Any]
) -> None:
    settings = toy(method, average=0.9, **TWICE, **changes)
    demos = [] if method == "true_reward" else demonstrations()

    def run(monitor: Monitor) -> tuple[str, Any]:
        agent, history = train_agent(TASK, method, settings, 3, demos, torch.device("cpu"), monitor)
        return weights(agent), history

    key = str((method, changes))
    if key not in uninterrupted:
        uninterrupted[key] = run(Monitor())
    interrupted = Interrupted(at)
    with pytest.raises(KeyboardInterrupt):
        run(interrupted)
    assert run(Resumed(interrupted.file)) == uninterrupted[key]
