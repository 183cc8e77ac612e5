"""The suites behind the common interface: their tables, fidelity, and what is missing here."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.project import CHECKOUT

from cdred import suites
from cdred.envs import make, make_vec
from cdred.envs.episodes import rollout
from cdred.envs.tasks import find, lookup, names
from cdred.errors import CdredError
from cdred.suites import rendering
from cdred.tools.task_table import problems

# ---- the tables -----------------------------------------------------------------------------------


def test_every_task_of_the_suites_has_a_name() -> None:
    with rendering.importing_mujoco(drawn=False):
        from dm_control import suite
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    def simulated(name: str) -> set[str]:
        return {task.simulator for task in suites.suite(name).tasks.values()}

    assert simulated("dmcontrol") == {" ".join(pair) for pair in suite.ALL_TASKS}
    assert simulated("metaworld") == set(ALL_V3_ENVIRONMENTS)
    assert len(simulated("metaworld")) == 50
    for name in ("cup-catch", "cheetah-run", "mw-box-close", "pick-cube", "turn-faucet"):
        assert lookup(name)


def sizes(tasks: list[str]) -> None:
    for task in tasks:
        if suites.not_installed(find(task).suite):
            continue
        with contextlib.closing(make(task)) as env:
            obs, _ = env.reset(seed=0)
            assert obs.shape == (find(task).obs_dim,) == env.observation_space.shape, task
            assert env.action_space.shape == (find(task).action_dim,), task


def test_the_tables_sizes_are_the_simulators() -> None:
    sizes(["acrobot-swingup", "cartpole-two-poles", "quadruped-fetch", "mw-hammer", "stack-cube"])


@pytest.mark.slow
def test_the_tables_sizes_are_the_simulators_for_every_task() -> None:
    simulator = suites.simulator("maniskill2")
    sizes([name for name in names() if not simulator.missing_assets(find(name))])


# ---- fidelity -------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("task", ["hopper-hop", "walker-run", "humanoid-walk"])
def test_observations_are_in_dm_controls_order(task: str) -> None:
    with contextlib.closing(make(task)) as env:
        env.reset(seed=3)
        obs, *_ = env.step(np.full(env.action_space.shape, 0.3, np.float32))
        inner = env.unwrapped._env  # type: ignore[attr-defined]
        parts = inner.task.get_observation(inner.physics)
    assert list(parts) != sorted(parts)  # so the order matters here
    expected = np.concatenate([np.ravel(part) for part in parts.values()])
    np.testing.assert_allclose(obs, expected, rtol=1e-6)


def test_success_is_that_of_the_last_state() -> None:
    """The scripted policy reaches its goal, then it is sent away from it."""
    from cdred.learning.scripted import ScriptedExpert

    expert, steps = ScriptedExpert("mw-reach"), itertools.count()

    def act(obs: Any) -> Any:
        return expert.act(obs) if next(steps) < 70 else np.full((1, 4), -1.0, np.float32)

    with contextlib.closing(make_vec("mw-reach", 1)) as envs:
        (episode,) = rollout(act, envs, [0])
    assert (episode.success, episode.success_once) == (False, True)


@pytest.mark.parametrize("task", ["mw-reach", "lift-cube", "pick-cube", "stack-cube"])
def test_scripted_policies_succeed(task: str) -> None:
    from cdred.learning.scripted import ScriptedExpert

    expert = ScriptedExpert(task)
    with contextlib.closing(make_vec(task, 3)) as envs:
        episodes = rollout(expert.act, envs, [0, 1, 2])
    assert all(e.success is True for e in episodes)
    with contextlib.closing(make_vec(task, 1)) as envs:
        still = rollout(lambda obs: np.zeros((1, 4), np.float32), envs, [0])
    assert still[0].success is False


# ---- what is missing here -------------------------------------------------------------------------


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
    ((what, reason),) = problems(find(task).suite)
    assert what == "all" and " is not installed (" in reason


@pytest.mark.needs("lift-cube")
def test_pixels_of_maniskill2_ask_for_a_vulkan_device(monkeypatch: pytest.MonkeyPatch) -> None:
    if suites.simulator("maniskill2").cannot_film() is None:
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


@pytest.mark.parametrize("task", [pytest.param("pick-ycb", marks=pytest.mark.slow), "turn-faucet"])
def test_tasks_with_downloaded_assets_play_once_these_are_there(task: str, tmp_path: Path) -> None:
    """In a process of its own: ManiSkill2 reads where its assets are when it is imported."""
    made_assets(tmp_path)
    code = (
        "import sys, numpy as np; sys.path.insert(0, 'tests'); from cdred.envs import make;"
        "from support.episodes import play;"
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
    found = find(task)
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
