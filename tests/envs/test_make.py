"""The three benchmarks behind one interface: spaces, exact seeds, success, pictures, errors."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.episodes import ONE_OF_EACH, play
from support.project import CHECKOUT

from cdred.envs import make, make_vec, wrappers
from cdred.envs.episodes import Episode, rollout
from cdred.envs.tasks import find
from cdred.envs.video import film
from cdred.errors import CdredError
from cdred.suites import rendering

# Where object, goal or robot are drawn anew, and where bodies meet: what seeds must fix.
SEEDED = [*ONE_OF_EACH, "dog-fetch", "mw-box-close", "pick-cube", "stack-cube"]


# ---- episodes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ONE_OF_EACH)
def test_spaces_and_episode_length(task: str) -> None:
    with contextlib.closing(make(task, seed=1)) as env:
        obs, _ = env.reset()
        assert env.action_space.dtype == np.float32
        assert env.action_space.low.min() == -1 and env.action_space.high.max() == 1
        steps, done = 0, False
        while not done:
            obs, _, terminated, truncated, info = env.step(env.action_space.sample())
            steps, done = steps + 1, terminated or truncated
            assert obs.dtype == np.float32 and env.observation_space.contains(obs)
            assert ("success" in info) == (find(task).measure == "success")
        assert steps == find(task).episode_length == (500 if task == "cup-catch" else 100)
        assert truncated and not terminated


@pytest.mark.parametrize("task", SEEDED)
def test_the_same_seed_and_actions_give_the_same_episode(task: str) -> None:
    with contextlib.closing(make(task)) as env, contextlib.closing(make(task, seed=7)) as other:
        first = play(env, 7)
        differently = play(env, 8)
        again = play(env, 7)  # the same environment, after another episode
        for one, two in ((first, again), (first, play(other, 7))):
            np.testing.assert_array_equal(one[0], two[0])
            np.testing.assert_array_equal(one[1], two[1])
        assert not np.array_equal(first[0][0], differently[0][0])
    with contextlib.closing(make(task, seed=7)) as env:
        np.testing.assert_array_equal(first[0][0], env.reset()[0])
        assert not np.array_equal(first[0][0], env.reset()[0])  # the next one is another


# ---- side by side -------------------------------------------------------------------------------


def same(one: Episode, two: Episode) -> None:
    np.testing.assert_array_equal(one.obs, two.obs)
    np.testing.assert_array_equal(one.action, two.action)
    np.testing.assert_array_equal(one.reward, two.reward)
    assert (one.success, one.seed) == (two.success, two.seed)


@pytest.mark.parametrize("task", ONE_OF_EACH)
def test_episodes_are_the_same_alone_side_by_side_and_in_processes(task: str) -> None:
    size = find(task).action_dim

    def act(obs: np.ndarray) -> np.ndarray:
        return np.tanh(obs[:, :size])

    found = []
    for seeds, parallel in (([4, 5, 6], False), ([5], False), ([4, 5, 6], True)):
        with contextlib.closing(make_vec(task, len(seeds), parallel=parallel)) as envs:
            found.append(rollout(act, envs, seeds))
    together, alone, processes = found
    same(together[1], alone[0])
    for one, two in zip(together, processes, strict=True):
        same(one, two)
    steps = find(task).episode_length
    assert together[0].obs.shape == (steps + 1, find(task).obs_dim)
    assert together[0].action.shape == (steps, size)
    assert (together[0].success is None) == (task == "cup-catch")


# ---- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["cup-catch", "mw-reach"])
def test_pixels_are_the_last_three_frames(task: str) -> None:
    with contextlib.closing(make(task, "rgb")) as env:
        obs, _ = play(env, 3, steps=4)
        assert obs.shape == (5, 9, 64, 64) and obs.dtype == np.uint8
        assert env.observation_space.contains(obs[0])
        assert obs[-1].std() > 10  # a picture, not a blank
        np.testing.assert_array_equal(obs[0][:3], obs[0][6:])  # nothing was before the first
        np.testing.assert_array_equal(obs[2][6:], obs[3][3:6])
        np.testing.assert_array_equal(obs[2][6:], obs[4][:3])
        assert not np.array_equal(obs[3][6:], obs[4][6:])
        np.testing.assert_array_equal(obs, play(env, 3, steps=4)[0])


def test_pictures_do_not_depend_on_the_environments_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenGL draws into, and frees from, the context that is current: of any in the process."""
    (tmp_path / "pendulum.py").write_text(
        "import gymnasium\n"
        "def make(render_mode=None):\n"
        "    return gymnasium.make('InvertedPendulum-v5', render_mode=render_mode)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")  # Gymnasium's own environments ask for it by name
    tasks = ["mw-reach", "cup-catch", "pendulum:make", "mw-window-open"]
    alone = {}
    for task in tasks:
        with contextlib.closing(make(task, "rgb")) as env:
            alone[task] = play(env, 1, steps=3)[0]
    envs = [(task, make(task, "rgb")) for task in tasks * 2]

    def check() -> None:
        for task, env in envs:
            np.testing.assert_array_equal(play(env, 1, steps=3)[0], alone[task], task)

    check()
    del envs[:3]
    gc.collect()  # as it may be at any time, which closes nothing
    check()
    envs.pop()[1].close()
    check()


def test_environments_left_open_neither_hang_nor_complain() -> None:
    code = (
        "import gc; from cdred.envs import make\n"
        "envs = [make('cartpole-balance'), make('cartpole-balance'), make('cartpole-balance', 'rgb')]\n"
        "for env in envs: env.reset(seed=0)\n"
        "del env, envs; gc.collect()\n"
        "left = make('cartpole-balance', 'rgb'); left.reset(seed=0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_process_that_renders_its_own_task_can_learn(tmp_path: Path) -> None:
    """Whatever the task renders by: Gymnasium's viewer knows nothing of Mesa and Triton."""
    (tmp_path / "reacher.py").write_text(
        "import gymnasium\n"
        "def make(render_mode=None):\n"
        "    return gymnasium.make('Reacher-v5', render_mode=render_mode)\n",
        encoding="utf-8",
    )
    code = (
        "from cdred.envs import make; e = make('reacher:make', 'rgb'); e.reset(seed=0)\n"
        "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)]); print('well')"
    )
    environment = os.environ | {"MUJOCO_GL": "osmesa", "PYTHONPATH": f"{CHECKOUT}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "well\n", done.stderr


@pytest.mark.parametrize("task", ["cup-catch", "mw-reach"])
def test_others_of_the_process_still_draw_and_log(task: str, tmp_path: Path) -> None:
    """An environment that draws nothing leaves MuJoCo, dm_control and logging to their user."""
    code = (
        f"from cdred.envs import make; e = make({task!r}); e.reset(seed=0); e.close()\n"
        "import logging; logging.basicConfig(filename='own.log', level='INFO')\n"
        "logging.info('written')\n"
        "import mujoco; model = mujoco.MjModel.from_xml_string('<mujoco/>')\n"
        "picture = mujoco.Renderer(model, 8, 8); assert picture.render().shape == (8, 8, 3)\n"
        "from dm_control import suite\n"
        "assert suite.load('cartpole', 'balance').physics.render(8, 8).std() > 1; print('well')"
    )
    environment = os.environ | {"MUJOCO_GL": "osmesa", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "well\n", done.stderr
    assert "written" in (tmp_path / "own.log").read_text()


@pytest.mark.parametrize(
    ("task", "environment"),
    [
        ("cartpole-balance", {}),
        ("mw-reach", {"MUJOCO_GL": "osmesa"}),
        pytest.param("cartpole-balance", {"MUJOCO_GL": "osmesa"}, marks=pytest.mark.slow),
        pytest.param("mw-reach", {}, marks=pytest.mark.slow),
    ],
)
def test_a_process_that_learns_can_render(task: str, environment: dict[str, str]) -> None:
    """Mesa and Triton bring an LLVM each: in the wrong order they end the process."""
    code = (
        f"from cdred.envs import make; e = make({task!r}); e.reset(seed=0); e.close();"
        "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)]);"
        f"e = make({task!r}, 'rgb'); e.reset(seed=0); e.close(); print('well')"
    )
    command, clean = [sys.executable, "-c", code], dict(os.environ)
    clean.pop("MUJOCO_GL", None)  # what the tests before may have chosen
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True)
    assert done.stdout == "well\n", done.stderr


@pytest.mark.parametrize("task", ["cartpole-swingup", "mw-reach"])
def test_a_film_is_the_episode_and_the_same_bytes_each_time(task: str, tmp_path: Path) -> None:
    import imageio.v3 as iio

    size = find(task).action_dim
    actions = np.random.default_rng(0).uniform(-1, 1, (4, size)).astype(np.float32)
    for name in ("one", "two"):
        film(task, (3, actions, tmp_path / f"{name}.mp4"))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    frames = iio.imread(tmp_path / "one.mp4")
    assert frames.shape == (2, 240, 240, 3)
    assert frames.std() > 10
    # As fast as it happens, every third step: 0.01 s of physics, or 0.0125 s, twice a step.
    fps = 50 / 3 if size == 1 else 40 / 3
    assert iio.immeta(tmp_path / "one.mp4")["fps"] == pytest.approx(fps, rel=1e-2)


# ---- what is missing or wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "obs", "output"),
    [
        ("cup-cach", "state", "no task is called 'cup-cach'; did you mean 'cup-catch'?"),
        ("mw-reech", "state", "did you mean 'mw-reach'?"),
        ("cup-catch", "rgbd", "no observation mode is called 'rgbd'; did you mean 'rgb'?"),
        ("cup-catch", "pixels", "valid: rgb, state"),
    ],
)
def test_a_wrong_name_is_answered_by_the_nearest(task: str, obs: str, output: str) -> None:
    with pytest.raises(CdredError) as caught:
        make(task, obs)
    assert output in str(caught.value) and "\n" not in str(caught.value)


def test_no_display_and_no_context_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("no\ncontext")

    monkeypatch.setattr(rendering, "_has_display", lambda: False)
    monkeypatch.setattr(rendering, "missing_library", lambda *library: None)
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(CdredError, match=r"MUJOCO_GL=glfw: there is no display"):
        rendering.opengl()
    monkeypatch.setattr(wrappers, "observe_pixels", fail)
    monkeypatch.setattr(wrappers, "observe_state", fail)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(CdredError, match="cannot be rendered by MUJOCO_GL=osmesa: no context"):
        make("cartpole-balance", "rgb")
    with pytest.raises(RuntimeError):
        make("cartpole-balance")


def test_a_renderer_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "crayons")
    with pytest.raises(CdredError, match=r"MUJOCO_GL=crayons: not one of egl, osmesa, glfw"):
        film("cartpole-swingup", (3, np.zeros((1, 1), np.float32), tmp_path / "film.mp4"))
    assert not list(tmp_path.iterdir())
