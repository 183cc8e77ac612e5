"""That the baselines learn: inverse soft Q, with a model and without, mw-window-open from ten episodes
of the benchmark's own policy, in a minute or two each; CFIL cup-catch, whose expert is trained first,
in nine. What every method comes to is in docs/results.md."""

from __future__ import annotations

import pytest
import torch
from support.project import CHECKOUT

from cdred import config, methods
from cdred.envs.episodes import Episode
from cdred.learning.play import play
from cdred.learning.scripted import ScriptedExpert
from cdred.learning.train import train
from cdred.plan import overlays

TASK = "mw-window-open"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def demonstrations() -> list[Episode]:
    return play(ScriptedExpert(TASK), TASK, 10, 0, "demonstrations")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["iqmpc", "iqlearn"])
def test_inverse_soft_q_learns(method: str, demonstrations: list[Episode]) -> None:
    settings = methods.find(method).settings.preset(
        "small", steps=5000, eval_every=1000, eval_episodes=10
    )
    _, history = train(TASK, method, settings, 0, demonstrations, CPU)
    successes = [point["success"] for point in history.curve]
    assert successes[-1] >= 0.7, successes


@pytest.mark.slow
def test_a_ratio_of_flows_learns() -> None:
    """By the settings of its table, where it has 0 to 197 at first and 703 to 953 at its best."""
    data, _ = overlays.resolve(CHECKOUT / "config/baselines_small.yaml", CHECKOUT)
    chosen = config.validate(data, {}, "test")
    expert = chosen.experts["expert"]
    agent, _ = train("cup-catch", methods.EXPERT, expert.settings, expert.seed, [], CPU)
    episodes = play(agent, "cup-catch", 10, 0, "demonstrations")
    settings = chosen.runs["cfil-sac"].settings
    _, history = train("cup-catch", "cfil", settings, 0, episodes, CPU)
    returns = [point["return_mean"] for point in history.curve]
    assert max(returns) >= 600, returns
