"""The environments are dm_control's tasks with action repeat, exact seeds and float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cdred.envs import make
from cdred.envs.rollout import rollout
from cdred.envs.tasks import TASKS
from cdred.envs.video import film
from cdred.errors import CdredError


def test_every_task_of_the_suite_has_a_name() -> None:
    from dm_control import suite

    assert {(t.domain, t.task) for t in TASKS.values()} == set(suite.ALL_TASKS)
    for name in ("cup-catch", "cheetah-run", "reacher-hard", "dog-stand", "humanoid-walk"):
        assert name in TASKS


@pytest.mark.parametrize("task", ["cup-catch", "cheetah-run", "reacher-hard"])
def test_spaces_and_episode_length(task: str) -> None:
    env = make(task, seed=1)
    obs, _ = env.reset()
    assert obs.dtype == np.float32 and obs.shape == env.observation_space.shape
    assert env.action_space.dtype == np.float32
    assert env.action_space.low.min() == -1 and env.action_space.high.max() == 1
    steps, done = 0, False
    while not done:
        obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        steps, done = steps + 1, terminated or truncated
        assert 0 <= float(reward) <= 2  # dm_control's at most 1, twice
    assert steps == TASKS[task].episode_length == 500


def test_the_same_seed_and_actions_give_the_same_episode() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 2)).astype(np.float32)

    def play(env, seed):  # type: ignore[no-untyped-def]
        found = [env.reset(seed=seed)[0]]
        return np.stack(found + [env.step(a)[0] for a in actions])

    env = make("cup-catch")
    first = play(env, 7)
    np.testing.assert_array_equal(first, play(env, 7))  # the same environment again
    np.testing.assert_array_equal(first, play(make("cup-catch"), 7))  # another one
    np.testing.assert_array_equal(first[0], make("cup-catch", seed=7).reset()[0])
    assert not np.array_equal(first, play(env, 8))


def test_an_agent_step_is_two_of_dm_controls() -> None:
    from dm_control import suite

    raw = suite.load("cheetah", "run", task_kwargs={"random": 5})
    env = make("cheetah-run", seed=5)
    first, start = env.reset()[0], raw.reset()
    np.testing.assert_allclose(
        first, np.concatenate([v.ravel() for _, v in sorted(start.observation.items())]), rtol=1e-6
    )
    action = np.linspace(-1, 1, 6).astype(np.float32)
    for _ in range(5):
        obs, reward, *_ = env.step(action)
        steps = [raw.step(action), raw.step(action)]
        assert reward == pytest.approx(sum(s.reward for s in steps))
        expected = np.concatenate([v.ravel() for _, v in sorted(steps[1].observation.items())])
        np.testing.assert_allclose(obs, expected, rtol=1e-5, atol=1e-6)


def test_an_observation_mode_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="only 'state'"):
        make("cup-catch", obs="pixels")


def test_rollouts_are_the_seeds_episodes() -> None:
    def act(obs: np.ndarray) -> np.ndarray:
        return np.tanh(obs[:, :2])

    together = rollout(act, [make("cup-catch") for _ in range(3)], [4, 5, 6])
    alone = rollout(act, [make("cup-catch")], [5])[0]
    np.testing.assert_array_equal(together[1].obs, alone.obs)
    assert [e.seed for e in together] == [4, 5, 6]
    assert together[0].action.shape == (500, 2) and together[0].obs.shape == (501, 8)
    assert together[0].success is None


def test_a_film_is_the_episode_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    import imageio.v3 as iio

    actions = np.random.default_rng(0).uniform(-1, 1, (4, 1)).astype(np.float32)
    for name in ("one", "two"):
        film("cartpole-swingup", 3, actions, tmp_path / f"{name}.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    frames = iio.imread(tmp_path / "one.mp4")
    assert frames.shape == (5, 240, 240, 3)
    assert frames.std() > 10  # a picture, not a blank
    assert iio.immeta(tmp_path / "one.mp4")["fps"] == 50  # 0.01 s of physics, twice a step


def test_a_renderer_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "crayons")
    with pytest.raises(CdredError, match=r"cannot be rendered by MUJOCO_GL=crayons .*libosmesa6"):
        film("cartpole-swingup", 3, np.zeros((1, 1), np.float32), tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
