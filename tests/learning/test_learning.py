"""That inverse soft Q learns, with a model and without: mw-window-open from ten episodes of the
benchmark's own policy, in a minute or two each. What every method comes to is in docs/results.md."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cdred.envs.rollout import Episode
from cdred.learning import training
from cdred.learning.acting import play
from cdred.learning.scripted import ScriptedExpert
from cdred.learning.settings import SMALL, Settings

TASK = "mw-window-open"


@pytest.fixture(scope="module")
def demonstrations() -> list[Episode]:
    return play(ScriptedExpert(TASK), TASK, 10, 0, "demonstrations")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "steps", "changes"),
    [
        pytest.param("iqmpc", 5000, {}, id="iqmpc"),
        pytest.param("iqmpc", 5000, {"model_free": True}, id="iqlearn-sac"),
    ],
)
def test_a_method_learns(
    method: str, steps: int, changes: dict[str, Any], demonstrations: list[Episode]
) -> None:
    settings = SMALL | {"steps": steps, "eval_every": steps // 5, "eval_episodes": 10} | changes
    device = torch.device("cpu")
    _, history = training.train(TASK, method, Settings(**settings), 0, demonstrations, device)
    successes = [point["success"] for point in history.curve]
    assert successes[-1] >= 0.7, successes
