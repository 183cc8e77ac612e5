"""`cdred compile` makes the programs that trainings will look for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.learning import TASK, demonstrations, toy
from torch import Tensor
from torch.fx import GraphModule

from cdred.learning import graph
from cdred.learning.monitor import Monitor
from cdred.learning.train import train
from cdred.plan import Training
from cdred.run.compile_ahead import update_of

TENSORS = tuple[tuple[int, ...], tuple[int, ...], Any]


@pytest.mark.parametrize(
    "method",
    ["cdred", "iqmpc", *(pytest.param(m, marks=pytest.mark.slow) for m in ("gail", "true_reward"))],
)
def test_the_program_is_the_training_s(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[tuple[str, list[TENSORS]]] = []

    def generate(recorded: GraphModule, tensors: list[Tensor], on_cuda: bool) -> GraphModule:
        programs.append((recorded.code, [(t.shape, t.stride(), t.dtype) for t in tensors]))
        return recorded

    monkeypatch.setattr(graph, "_generate", generate)
    s = toy(method, compile=True)
    update_of(TASK, Training(method, s, "state"))()
    demos = [] if method == "true_reward" else demonstrations()

    train(TASK, method, s, 7, demos, torch.device("cpu"), Monitor())
    ahead, trained = programs
    assert ahead == trained
