"""cdred as a library: train, evaluate, environments, and what it says of wrong arguments."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import cdred
import cdred.gym
from cdred.envs.tasks import names
from cdred.errors import CdredError

CHECKOUT = Path(__file__).resolve().parent.parent
TASK = "cartpole-balance"


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "examples/in_python.py"], cwd=tmp_path, capture_output=True,
        text=True, env={"PYTHONPATH": str(CHECKOUT), "PATH": ""},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines)) == (0, 4), done.stderr
    assert lines[0].startswith("expert <cartpole-balance, true_reward: return ")
    assert lines[1].startswith("CDRED <cartpole-balance, cdred: return ")


def test_what_there_is_is_shown() -> None:
    assert set(cdred.__all__) <= set(dir(cdred))
    for name in cdred.__all__:
        documentation = inspect.getdoc(getattr(cdred, name))
        assert documentation is not None and len(documentation) > 20
    with pytest.raises(AttributeError, match="no attribute 'evaluated'"):
        _ = cdred.evaluated


def test_the_same_seed_trains_the_same_agent_and_plays_the_same_episodes() -> None:
    demonstrations = [random_episode(k) for k in range(2)]
    options: dict[str, Any] = {"steps": 20, "eval_every": 20, "eval_episodes": 1, "seed": 3}
    before = torch.get_num_threads()
    one, other = (cdred.train(TASK, "bc", demonstrations, **options) for _ in range(2))
    assert torch.get_num_threads() == before
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    found = [cdred.evaluate(agent, episodes=2) for agent in (one, other)]
    assert found[0].returns == found[1].returns
    assert found[0].mean == np.mean(found[0].returns) and found[0].success is None
    assert f"return {found[0].mean:.1f} (sd " in repr(found[0])
    assert repr(one).startswith(f"<agent of {TASK} by bc: acts by its policy's mean, ")


def random_episode(seed: int) -> Any:
    from cdred.envs.episodes import Episode

    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(11, 5)).astype(np.float32)
    action = rng.uniform(-1, 1, (10, 1)).astype(np.float32)
    return Episode(obs, action, np.ones(10, np.float32), None, seed)


def test_every_task_is_gymnasium_s() -> None:
    assert {f"cdred/{name}" for name in names()} <= set(gymnasium.registry)
    env = gymnasium.make(f"cdred/{TASK}")
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    np.testing.assert_array_equal(obs, cdred.make(TASK).reset(seed=0)[0])
    env.close()


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("cartpole-balence",), {}, "did you mean 'cartpole-balance'"),
        ((TASK, "bb"), {}, "bb"),
        ((TASK,), {}, "cdred learns from demonstrations: give their folder, or episodes"),
        ((TASK, "cdred", "no/such"), {}, "no/such"),
        ((TASK, "true_reward"), {"step": 3}, "no setting is called 'step'; did you mean 'steps'?"),
        ((TASK, "true_reward"), {"steps": 0}, "settings: steps: must be greater"),
        ((TASK, "true_reward"), {"steps": 3}, "seed_steps: 1000 random steps come first"),
        ((TASK, "true_reward"), {"preset": "big"}, "preset: none is called 'big'; valid: "),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: tuple[Any, ...], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(CdredError) as caught:
        cdred.train(*arguments, **settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((5,), "observations here are (N, 5); of a single one, give obs[None]"), ((2, 4), "(N, 5)")],
)
def test_observations_of_another_shape(shape: tuple[int, ...], hint: str) -> None:
    from cdred.learning.agent import Agent
    from cdred.methods.bc.settings import CloningSettings

    agent = Agent.create(TASK, "bc", (5,), 1, CloningSettings())
    with pytest.raises(CdredError, match=r"^obs of shape ") as caught:
        agent.act(np.zeros(shape, np.float32))
    assert hint in str(caught.value)


@pytest.mark.parametrize("name", ["artifacts/agents/x/y", "./gone", "gone", "/no/where"])
def test_a_missing_folder_is_called_one(name: str) -> None:
    with pytest.raises(CdredError, match="no such folder, nor a name on the Hub"):
        cdred.load_agent(name)
