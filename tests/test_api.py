"""cdred as a library: train, evaluate, environments, and what it says of wrong arguments."""

from __future__ import annotations

import contextlib
import dataclasses
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
from cdred.envs.tasks import PIXEL_SHAPE, names
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


def test_playing_leaves_alone_what_goes_on_beside_it() -> None:
    """A search of one's own that evaluates agents draws its own numbers, and an episode under way
    keeps its plan."""
    agent = cdred.train(
        TASK, "cdred", [random_episode(0)], mpc=True, plan_iterations=1, plan_samples=8,
        plan_policy_samples=2, plan_elites=2, steps=505, seed_steps=500, eval_every=505,
        eval_episodes=1, batch_size=4, updates_per_step=0.02, compile=False,
    )  # fmt: skip
    assert isinstance(agent, cdred.Agent)

    def draw(play: bool) -> list[Any]:
        torch.manual_seed(0)
        np.random.seed(0)
        drawn = []
        for _ in range(3):
            drawn.append((torch.rand(1).item(), np.random.rand()))
            if play:
                cdred.evaluate(agent, episodes=2)
        return drawn

    assert draw(play=True) == draw(play=False)
    agent.act(np.zeros((1, 5), np.float32))
    plan = agent.acting_state()
    assert plan is not None
    cdred.evaluate(agent, episodes=2)
    now = agent.acting_state()
    assert now is not None and torch.equal(now, plan)
    with pytest.raises(CdredError, match=r"2 observations after 1, .* call reset\(\)"):
        agent.act(np.zeros((2, 5), np.float32))


def test_the_environment_of_a_first_reset_without_a_seed_is_another_each_time() -> None:
    for obs in ("state", "rgb"):
        first = []
        for _ in range(2):
            with contextlib.closing(cdred.make("cup-catch", obs)) as env:
                first.append(env.reset()[0])
        assert not np.array_equal(*first)


def test_an_environment_is_made_again_from_its_spec() -> None:
    with contextlib.closing(gymnasium.make("cdred/mw-reach", seed=3)) as env:
        spec = env.spec
        assert spec is not None
        with contextlib.closing(gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(
            spec.to_json()
        ))) as again:  # fmt: skip
            np.testing.assert_array_equal(env.reset()[0], again.reset()[0])


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
        ((TASK, "true_reward"), {"obs": "pixel"}, "obs: no observation mode is called 'pixel'"),
        ((TASK, "true_reward"), {"device": "gpu"}, "device: none is called 'gpu'; valid: auto, "),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: tuple[Any, ...], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(CdredError) as caught:
        cdred.train(*arguments, **settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_episodes_that_do_not_fit_are_one_line() -> None:
    episode = random_episode(0)
    outside = dataclasses.replace(episode, action=7 * episode.action)
    short = dataclasses.replace(episode, obs=episode.obs[:-1])
    for task, wrong, message in (
        ("cup-catch", episode, "an observation's shape is (5,), not (8,)"),
        (TASK, outside, "outside [-1, 1]"),
        (TASK, short, "observations are 10, not 11"),
    ):
        with pytest.raises(CdredError) as caught:
            cdred.train(task, "bc", [episode, wrong] if task == TASK else [wrong])
        assert str(caught.value).startswith("demonstrations, episode ")
        assert message in str(caught.value)


def test_observations_of_any_kind_of_array() -> None:
    from cdred.learning.agent import Agent
    from cdred.methods.bc.settings import CloningSettings

    agent = Agent.create(TASK, "bc", (5,), 1, CloningSettings()).eval()
    obs = np.arange(10, dtype=np.float64).reshape(2, 5)
    expected = agent.act(obs.astype(np.float32))
    for same in (obs, obs.astype(int), obs.tolist(), torch.tensor(obs), np.flip(obs, 1)[:, ::-1]):
        np.testing.assert_array_equal(agent.act(same), expected)  # type: ignore[arg-type]
    seeing = Agent.create(TASK, "bc", PIXEL_SHAPE, 1, CloningSettings(conv_channels=2))
    with pytest.raises(CdredError, match=r"obs of torch\.float64: pixels here are uint8"):
        seeing.act(np.zeros((1, *PIXEL_SHAPE)))


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
