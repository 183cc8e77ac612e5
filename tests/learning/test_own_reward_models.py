"""Reward models of one's own that break the contract are refused in a line; what would train
something else silently is among them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from support.learning import TASK, demonstrations, toy
from support.project import CHECKOUT

from cdred import methods
from cdred.errors import CdredError
from cdred.learning.monitor import Monitor
from cdred.learning.train import train
from cdred.learning.trainer import History

MODULE = """
import torch
from cdred.methods import Method
from cdred.methods.cdred.method import METHOD as CDRED
from cdred.methods.cdred.reward import CoupledRND
from cdred.methods.cdred.settings import CdredSettings


class Given(CoupledRND):
    def loss(self, z, action, batch, weights):
        loss, reward, metrics = super().loss(z, action, batch, weights)
        return BODY

    def forward(self, z, action):
        return FORWARD

    def prepare(self, expert, behaviour):
        PREPARE


METHOD = Method(settings=CdredSettings, reward_model=Given, display=CDRED.display)
"""


class Told(Monitor):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def notice(self, text: str) -> None:
        self.texts.append(text)


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, body: str = "loss, reward, metrics",
    forward: str = "super().forward(z, action)", prepare: str = "pass",
    monitor: Monitor | None = None, **changes: object,
) -> History:  # fmt: skip
    text = MODULE.replace("BODY", body).replace("FORWARD", forward).replace("PREPARE", prepare)
    (folder / "faulty.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    methods.find("faulty:METHOD")  # imported, as the user's own
    cpu = torch.device("cpu")
    return train(TASK, "faulty:METHOD", toy(**changes), 0, demonstrations(), cpu, monitor)[1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("loss, reward.expand(-1, -1, 8), metrics",
         "Given.loss: reward: expected a tensor of shape (3, 16, 1), got shape (3, 16, 8)"),
        ("loss, reward[:1], metrics", "reward: expected a tensor of shape (3, 16, 1)"),
        ("loss, reward[..., 0], metrics", "reward: expected a tensor of shape (3, 16, 1)"),
        ("loss, 1.0, metrics", "reward: expected a tensor of shape (3, 16, 1), got 1.0"),
        ("loss[None], reward, metrics", "loss: expected a tensor of shape (), got shape (1,)"),
        ("loss, reward, {'mine': 0.5}", "metrics['mine']: expected a tensor of shape (), got 0.5"),
        ("loss, reward, {'value_loss': loss.detach()}", "called 'value_loss', as one of the learner"),
        ("loss, reward, {'grad_norm': loss.detach()}", "called 'grad_norm', as one of the learner"),
        ("loss, reward, {'step': loss.detach()}", "called 'step', as a column of every table"),
    ],
)  # fmt: skip
def test_what_a_loss_returns(
    body: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CdredError) as caught:
        trained(tmp_path, monkeypatch, body)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "forward", ["super().forward(z, action)[..., 0]", "super().forward(z, action).expand(*z.shape[:-1], 8)"]
)  # fmt: skip
def test_what_a_reward_returns(
    forward: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CdredError, match=r"Given: a reward of shape \(.*, expected \(.*, 1\)"):
        trained(tmp_path, monkeypatch, forward=forward, mpc=True, plan_iterations=1)


@pytest.mark.parametrize(
    "prepare", ["self.scale = 3.0", "self.register_buffer('data', torch.ones(2))"]
)
def test_what_a_training_that_goes_on_would_lack(
    prepare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CdredError, match=r"Given.prepare sets (scale|data), which a training"):
        trained(tmp_path, monkeypatch, prepare=prepare)


def test_episodes_that_end_by_themselves_are_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (CHECKOUT / "examples/pointmass.py").read_text()
    assert ", False, False, {}" in text
    ends = text.replace(", False, False, {}", ", bool(self.np_random.random() < 0.05), False, {}")
    (tmp_path / "ending.py").write_text(ends)
    monkeypatch.syspath_prepend(tmp_path)
    told = Told()
    train("ending:make", "true_reward", toy("true_reward"), 0, [], torch.device("cpu"), told)
    (text,) = told.texts
    assert text.startswith("ending:make: episodes end by themselves")


def test_a_sound_one_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    history = trained(tmp_path, monkeypatch, monitor=told)
    assert history.metrics and not told.texts
