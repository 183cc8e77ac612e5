"""That the baselines learn: inverse soft Q, with a model and without, SAIL and CFIL, mw-window-open
from ten episodes of the benchmark's own policy, in two to seven minutes each; CFIL, GAIL and HyPE
cup-catch, whose expert is trained first, in fifteen. What every method comes to is in
docs/results.md."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.project import CHECKOUT

from cdred import config, methods
from cdred.config import Config
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
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("iqmpc", {"steps": 5000}), ("iqlearn", {"steps": 10000}), ("sail", {"steps": 10000}),
        ("cfil", {"steps": 16000, "symlog_max": 7.0}),
    ],
)  # fmt: skip
def test_a_baseline_learns(
    method: str, changes: dict[str, Any], demonstrations: list[Episode]
) -> None:
    """On seed 0 IQ-Learn has 1.0 from step 6,000 on, SAIL 0.9 from step 7,000 on, CFIL 0.8 to 1.0
    from step 10,000 on."""
    settings = methods.find(method).settings.preset(
        "small", eval_every=1000, eval_episodes=10, **changes
    )
    _, history = train(TASK, method, settings, 0, demonstrations, CPU)
    successes = [point["success"] for point in history.curve]
    assert successes[-1] >= 0.7, successes


@pytest.fixture(scope="module")
def baselines() -> Config:
    data, _ = overlays.resolve(CHECKOUT / "config/baselines_small.yaml", CHECKOUT)
    return config.validate(data, {}, "test")


@pytest.fixture(scope="module")
def of_an_expert(baselines: Config) -> list[Episode]:
    expert = baselines.experts["expert"]
    agent, _ = train("cup-catch", methods.EXPERT, expert.settings, expert.seed, [], CPU)
    return play(agent, "cup-catch", 10, 0, "demonstrations")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["cfil-sac", "gail", "hype"])
def test_what_compares_both_streams_learns(
    run: str, baselines: Config, of_an_expert: list[Episode]
) -> None:
    """By the settings of its table, but from ten demonstrations."""
    chosen = baselines.runs[run]
    _, history = train("cup-catch", chosen.method, chosen.settings, 0, of_an_expert, CPU)
    returns = [point["return_mean"] for point in history.curve]
    assert max(returns) >= 600, returns
