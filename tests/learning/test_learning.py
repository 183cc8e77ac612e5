"""That inverse soft Q learns, with a model and without: mw-window-open from ten episodes of the
benchmark's own policy, in a minute or two each. What every method comes to is in docs/results.md."""

from __future__ import annotations

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
@pytest.mark.parametrize("model_free", [False, True], ids=["iqmpc", "iqlearn-sac"])
def test_inverse_soft_q_learns(model_free: bool, demonstrations: list[Episode]) -> None:
    settings = Settings(
        **SMALL | {"steps": 5000, "eval_every": 1000, "eval_episodes": 10},
        model_free=model_free,
    )
    device = torch.device("cpu")
    _, history = training.train(TASK, "iqmpc", settings, 0, demonstrations, device)
    successes = [point["success"] for point in history.curve]
    assert successes[-1] >= 0.7, successes
