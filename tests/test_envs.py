"""The three benchmarks behind one interface: spaces, exact seeds, success, pictures, errors."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CHECKOUT

from cdred.envs import make, make_vec, maniskill2, rendering
from cdred.envs.rollout import Episode, rollout
from cdred.envs.tasks import TASKS, not_installed
from cdred.envs.video import film
from cdred.errors import CdredError
from cdred.listing import missing

ONE_OF_EACH = ["cup-catch", "mw-reach", "lift-cube"]
# Where object, goal or robot are drawn anew, and where bodies meet: what seeds must fix.
SEEDED = [*ONE_OF_EACH, "dog-fetch", "mw-box-close", "pick-cube", "stack-cube"]


def play(env: Any, seed: int, steps: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Observations and rewards of an episode's first steps, by actions that are always the same."""
    rng = np.random.default_rng(0)
    obs, rewards = [env.reset(seed=seed)[0]], []
    for _ in range(steps):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        found, reward, *_ = env.step(action)
        obs.append(found)
        rewards.append(reward)
    return np.stack(obs), np.array(rewards)


# ---- the table ----------------------------------------------------------------------------------


def test_every_task_of_the_suites_has_a_name() -> None:
    with rendering.importing_mujoco(drawn=False):
        from dm_control import suite
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    def names(wanted: str) -> set[str]:
        return {t.simulator for t in TASKS.values() if t.suite == wanted}

    assert names("dmcontrol") == {" ".join(pair) for pair in suite.ALL_TASKS}
    assert names("metaworld") == set(ALL_V3_ENVIRONMENTS)
    assert len(names("metaworld")) == 50
    for name in ("cup-catch", "cheetah-run", "mw-box-close", "pick-cube", "turn-faucet"):
        assert name in TASKS


def sizes(tasks: list[str]) -> None:
    for task in tasks:
        if not_installed(TASKS[task].suite):
            continue
        with contextlib.closing(make(task)) as env:
            obs, _ = env.reset(seed=0)
            assert obs.shape == (TASKS[task].obs_dim,) == env.observation_space.shape, task
            assert env.action_space.shape == (TASKS[task].action_dim,), task


def test_the_tables_sizes_are_the_simulators() -> None:
    sizes(["acrobot-swingup", "cartpole-two-poles", "quadruped-fetch", "mw-hammer", "stack-cube"])


@pytest.mark.slow
def test_the_tables_sizes_are_the_simulators_for_every_task() -> None:
    sizes([name for name, task in TASKS.items() if not maniskill2.missing_assets(task)])


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
            assert ("success" in info) == (TASKS[task].measure == "success")
        assert steps == TASKS[task].episode_length == (500 if task == "cup-catch" else 100)
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


def test_meta_world_is_the_benchmarks_own_with_the_goal_observed() -> None:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

    raw = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE["button-press-v3-goal-observable"](seed=3)
    raw._freeze_rand_vec, raw.seeded_rand_vec = False, True
    raw.seed(3)
    env = make("mw-button-press")
    np.testing.assert_array_equal(env.reset(seed=3)[0], np.float32(raw.reset()[0]))
    assert np.any(env.reset(seed=3)[0][-3:] != 0)  # the goal
    action = np.array([0.3, -0.2, 0.1, 0.5], np.float32)
    for _ in range(5):
        obs, reward, *_ = env.step(action)
        steps = [raw.step(action), raw.step(action)]
        np.testing.assert_allclose(obs, steps[1][0], rtol=1e-5, atol=1e-6)
        assert reward == pytest.approx(sum(float(s[1]) for s in steps))


def test_scripted_policies_succeed() -> None:
    from cdred.learning.scripted import ScriptedExpert

    expert = ScriptedExpert("mw-reach")
    with contextlib.closing(make_vec("mw-reach", 3)) as envs:
        episodes = rollout(expert.act, envs, [0, 1, 2])
    assert all(e.success is True for e in episodes)
    with contextlib.closing(make_vec("mw-reach", 1)) as envs:
        still = rollout(lambda obs: np.zeros((1, 4), np.float32), envs, [0])
    assert still[0].success is False


# ---- side by side -------------------------------------------------------------------------------


def same(one: Episode, two: Episode) -> None:
    np.testing.assert_array_equal(one.obs, two.obs)
    np.testing.assert_array_equal(one.action, two.action)
    np.testing.assert_array_equal(one.reward, two.reward)
    assert (one.success, one.seed) == (two.success, two.seed)


@pytest.mark.parametrize("task", ONE_OF_EACH)
def test_episodes_are_the_same_alone_side_by_side_and_in_processes(task: str) -> None:
    size = TASKS[task].action_dim

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
    steps = TASKS[task].episode_length
    assert together[0].obs.shape == (steps + 1, TASKS[task].obs_dim)
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


@pytest.mark.parametrize("environment", [{}, {"MUJOCO_GL": "osmesa"}])
@pytest.mark.parametrize("task", ["cartpole-balance", "mw-reach"])
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

    size = TASKS[task].action_dim
    actions = np.random.default_rng(0).uniform(-1, 1, (4, size)).astype(np.float32)
    for name in ("one", "two"):
        film(task, 3, actions, tmp_path / f"{name}.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    frames = iio.imread(tmp_path / "one.mp4")
    assert frames.shape == (5, 240, 240, 3)
    assert frames.std() > 10
    # As fast as it happens: 0.01 s of physics, or 0.0125 s, twice a step.
    assert iio.immeta(tmp_path / "one.mp4")["fps"] == (50 if size == 1 else 40)


# ---- what is missing or wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "obs", "said"),
    [
        ("cup-cach", "state", "no task is called 'cup-cach'; did you mean 'cup-catch'?"),
        ("mw-reech", "state", "did you mean 'mw-reach'?"),
        ("cup-catch", "rgbd", "no observation mode is called 'rgbd'; did you mean 'rgb'?"),
        ("cup-catch", "pixels", "valid: rgb, state"),
    ],
)
def test_a_wrong_name_is_answered_by_the_nearest(task: str, obs: str, said: str) -> None:
    with pytest.raises(CdredError) as caught:
        make(task, obs)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_library_is_one_line_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    with pytest.raises(CdredError, match=r"libOSMesa .*apt-get install -y libosmesa6"):
        make("cup-catch", "rgb")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(CdredError, match=r"libEGL .*apt-get install -y libegl1"):
        make("mw-reach", "rgb")
    make("cup-catch")  # from state nothing is rendered, and nothing is needed
    make("mw-reach")


@pytest.mark.needs("lift-cube")
def test_a_missing_vulkan_is_one_line_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(CdredError, match=r"libvulkan .*apt-get install -y libvulkan1"):
        make("lift-cube")


@pytest.mark.parametrize(
    ("task", "package"),
    [("cup-catch", "dm_control"), ("mw-reach", "metaworld"), ("lift-cube", "sapien")],
)
def test_a_suite_that_is_not_installed_is_one_line(
    task: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n: None if n == package else there(n))
    with pytest.raises(CdredError, match=rf"^{task}: .* is not installed \(.*{package}\); "):
        make(task)
    ((what, reason),) = missing(TASKS[task].suite)
    assert what == "all" and " is not installed (" in reason


def test_a_renderer_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "crayons")
    with pytest.raises(CdredError, match=r"MUJOCO_GL=crayons: not one of egl, osmesa, glfw"):
        film("cartpole-swingup", 3, np.zeros((1, 1), np.float32), tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("lift-cube")
def test_pixels_of_maniskill2_ask_for_a_vulkan_device(monkeypatch: pytest.MonkeyPatch) -> None:
    if maniskill2.cannot_render() is None:
        pytest.skip("there is one")
    with pytest.raises(CdredError, match="needs a Vulkan device"):
        make("lift-cube", "rgb")


@pytest.mark.parametrize(
    ("task", "command"),
    [("turn-faucet", "download_asset partnet_mobility_faucet"), ("pick-ycb", "download_asset ycb")],
)
def test_missing_assets_are_one_line_with_the_command(
    task: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MS2_ASSET_DIR", str(tmp_path))
    with pytest.raises(CdredError, match=f"{command}$"):
        make(task)


def made_assets(folder: Path) -> None:
    """Stand-ins for what ManiSkill2 downloads, in its layout: boxes, and boxes on hinges."""
    import mani_skill2
    import trimesh

    bbox = {"min": [-0.02] * 3, "max": [0.02] * 3}
    models = {name: {"bbox": bbox, "scales": [1.0], "density": 1000} for name in ("a_box", "b_box")}
    ycb = folder / "mani_skill2_ycb"
    for name in models:
        (ycb / "models" / name).mkdir(parents=True)
        trimesh.creation.box((0.04, 0.04, 0.04)).export(ycb / "models" / name / "collision.obj")
    (ycb / "info_pick_v0.json").write_text(json.dumps(models))

    listed = Path(mani_skill2.__file__).parent / "assets/partnet_mobility/meta"
    for model, known in json.loads((listed / "info_faucet_train.json").read_text()).items():
        here = folder / "partnet_mobility/dataset" / model
        here.mkdir(parents=True)
        trimesh.creation.box((0.2, 0.2, 0.5)).export(here / "box.obj")
        shape = '<collision><geometry><mesh filename="box.obj"/></geometry></collision>'
        links, joints = ['<link name="base"/>'], []
        for k, (link, _, _) in enumerate(known["semantics"]):
            links.append(f'<link name="{link}">{shape}</link>')
            joints.append(
                f'<joint name="joint_{k}" type="revolute"><parent link="base"/>'
                f'<child link="{link}"/><origin xyz="{k} 0 0"/><axis xyz="0 0 1"/>'
                f'<limit lower="0" upper="1.5"/></joint>'
            )
        text = f'<robot name="faucet">{"".join(links + joints)}</robot>'
        (here / "mobility_cvx.urdf").write_text(text)


@pytest.mark.parametrize("task", ["pick-ycb", "turn-faucet"])
def test_tasks_with_downloaded_assets_play_once_these_are_there(task: str, tmp_path: Path) -> None:
    """In a process of its own: ManiSkill2 reads where its assets are when it is imported."""
    made_assets(tmp_path)
    code = (
        "import sys, numpy as np; sys.path.insert(0, 'tests'); from cdred.envs import make;"
        "from test_envs import play;"
        f"env = make('{task}'); a, b, c = (play(env, s, 10) for s in (1, 2, 1));"
        "assert (a[0] == c[0]).all() and (a[1] == c[1]).all() and (a[0][0] != b[0][0]).any();"
        "print(*a[0].shape, env.action_space.shape[0], 'success' in env.step(env.action_space.sample())[4])"
    )

    def run() -> subprocess.CompletedProcess[str]:
        env = os.environ | {"MS2_ASSET_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", code], cwd=CHECKOUT, env=env, capture_output=True, text=True
        )

    done = run()
    found = TASKS[task]
    assert done.stdout.split() == ["11", str(found.obs_dim), str(found.action_dim), "True"], (
        done.stderr
    )
    for file in ("models/b_box/collision.obj", "5076/mobility_cvx.urdf"):
        for path in tmp_path.rglob(file):
            path.unlink()  # as after half a download
    assert done.returncode == 0 and "download_asset" in run().stderr.splitlines()[-1]


def test_opengl_is_chosen_by_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    only = {"EGL"}
    monkeypatch.setattr("ctypes.util.find_library", lambda name: name if name in only else None)
    assert rendering.opengl() == "egl"
    only = {"OSMesa"}
    assert rendering.opengl() == "osmesa"
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(CdredError, match="libegl1"):
        rendering.opengl()
