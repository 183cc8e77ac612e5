"""Tasks that are not part of the package, by reference."""

from __future__ import annotations

import contextlib
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from support.episodes import play
from support.project import CHECKOUT

from cdred.envs import make, make_vec, wrappers
from cdred.envs.episodes import rollout
from cdred.envs.tasks import file_name, find, lookup
from cdred.envs.video import film
from cdred.errors import CdredError

TASK = "examples.pointmass:make"


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)


def test_the_example_is_a_task_like_any_other(tmp_path: Path) -> None:
    spec = find(TASK)
    assert (spec.obs_dim, spec.action_dim, spec.episode_length) == (4, 2, 100)
    assert (spec.measure, spec.action_repeat) == ("return", 1)
    with contextlib.closing(make(TASK)) as env:
        one, other, again = (play(env, seed) for seed in (1, 2, 1))
    np.testing.assert_array_equal(one[0], again[0])
    assert not np.array_equal(one[0], other[0])
    for parallel in (False, True):
        with contextlib.closing(make_vec(TASK, 2, parallel=parallel)) as envs:
            episodes = rollout(lambda obs: -np.sign(obs[:, :2]), envs, [3, 4])
        assert [len(e.action) for e in episodes] == [100, 100]
        assert all(e.success is None and 0 < e.episode_return < 100 for e in episodes)
    with contextlib.closing(make(TASK, "rgb")) as env:
        assert env.reset(seed=0)[0].shape == (9, 64, 64)
    film(TASK, (3, np.zeros((3, 2), np.float32), tmp_path / "film.mp4"))
    assert (tmp_path / "film.mp4").stat().st_size


COUNTER = """
import gymnasium, numpy as np
from gymnasium.spaces import Box

class Counter(gymnasium.Env):
    metadata = {"render_fps": 10}
    observation_space, action_space = Box(-9, 9, (SIZE,), np.float32), Box(-1, 1, (1,))
    count = np.zeros(SIZE, np.float32)

    def reset(self, *, seed=None, options=None):
        self.count[:] = 0
        return self.count, {}

    def step(self, action):
        self.count += 1
        return self.count, 0.0, False, False, {}

    def render(self):
        return np.full((8, 8, 3), int(self.count[0]), np.uint8)

def make(render_mode=None):
    return gymnasium.wrappers.TimeLimit(Counter(), 3)
"""


def test_a_module_of_a_script_s_own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array that is used for all observations, a film, and a notebook that changes the task."""
    (tmp_path / "counter.py").write_text("SIZE = 2\n" + COUNTER)
    monkeypatch.syspath_prepend(tmp_path)
    with contextlib.closing(make("counter:make")) as env:
        seen = [env.reset()[0], *(env.step(np.zeros(1, np.float32))[0] for _ in range(3))]
    assert [obs.tolist() for obs in seen] == [[k, k] for k in range(4)]
    film("counter:make", (3, np.zeros((3, 1), np.float32), tmp_path / "film.mp4"))
    assert (tmp_path / "film.mp4").stat().st_size
    with pytest.raises(CdredError, match="no film: it is made in a process of its own"):
        film("__main__:make", (3, np.zeros((3, 1), np.float32), tmp_path / "other.mp4"))
    import counter

    (tmp_path / "counter.py").write_text("SIZE = 4\n" + COUNTER)
    importlib.invalidate_caches()
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    importlib.reload(counter)
    with contextlib.closing(make("counter:make")) as env:
        assert env.observation_space.contains(env.reset()[0]) and env.reset()[0].shape == (4,)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("self.count, 0.0", "self.count, np.nan", "its reward is nan in step 1"),
        ("self.count, 0.0", "self.count[:1], 0.0",
         "an observation's shape is (1,) after 1 steps; its observation space states (2,)"),
        ("return self.count, {}", "return self.count[None], {}",
         "an observation's shape is (1, 2) after 0 steps; its observation space states (2,)"),
    ],
)  # fmt: skip
def test_an_environment_that_is_not_what_it_says(
    old: str, new: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in COUNTER
    (tmp_path / "other.py").write_text("SIZE = 2\n" + COUNTER.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "other", raising=False)
    with (
        pytest.raises(CdredError, match=re.escape(f"other:make: {reason}")),
        contextlib.closing(make("other:make")) as env,
    ):
        env.reset(seed=0)
        env.step(np.zeros(1, np.float32))


def test_a_task_of_another_package() -> None:
    pytest.importorskip("gymnasium_robotics", reason="examples/antmaze.py is made of it")
    spec = find("examples.antmaze:make")
    assert (spec.obs_dim, spec.action_dim, spec.episode_length) == (31, 8, 700)
    with contextlib.closing(make("examples.antmaze:make")) as env:
        one, again = play(env, 1, 20), play(env, 1, 20)
        np.testing.assert_array_equal(one[0], again[0])
        place, goal = one[0][0, :2], one[0][0, 2:4]
        assert np.linalg.norm(place - (-4, 4)) < 1.5 and np.linalg.norm(goal - (-4, -4)) < 1.5
        assert env.step(env.action_space.sample())[4]["success"] is False


def test_its_name_in_paths_is_one_of_a_file() -> None:
    assert file_name(TASK) == file_name(file_name(TASK)) == "examples-pointmass-make"
    assert file_name("mw-reach") == "mw-reach"


def test_naming_it_loads_neither_numpy_nor_the_module() -> None:
    code = (
        f"import sys; from cdred.envs.tasks import find; task = find({TASK!r});"
        "assert not task.sized;"
        "print([m for m in ('numpy', 'gymnasium', 'examples') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


class Played(gymnasium.Env):
    """Keeps the action that it is given."""

    observation_space = Box(-1, 1, (1,))

    def __init__(self, low: Any, high: Any, dtype: Any) -> None:
        self.action_space = Box(np.asarray(low, dtype), np.asarray(high, dtype), dtype=dtype)
        self.played = np.zeros(0)

    def step(self, action: Any) -> Any:
        self.played = action
        return np.zeros(1, np.float32), 0.0, False, False, {}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_keep_to_the_bounds_and_are_else_as_rescaled(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        low = rng.normal(size=3) * 10 ** rng.uniform(-3, 3)
        env = Played(low, low + rng.uniform(0.1, 1, 3) * 10 ** rng.uniform(-2, 3), dtype)
        ours = wrappers.act_in_unit_box(env)
        rescaled = gymnasium.wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
        for action in (-np.ones(3), np.ones(3), rng.uniform(-1, 1, 3)):
            rescaled.step(action.astype(np.float32))
            expected = env.played
            ours.step(action.astype(np.float32))
            assert env.action_space.contains(env.played)
            inside = (env.action_space.low <= expected) & (expected <= env.action_space.high)
            np.testing.assert_array_equal(env.played[inside], expected[inside])
    env = Played([-1, -1], [1, 1], dtype)
    wrappers.act_in_unit_box(env).step(np.array([-0.0, 1.5], np.float32))
    assert env.played.tobytes() == np.array([-0.0, 1.5], dtype).tobytes()


OWN = """
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete
class Env(gymnasium.Env):
    observation_space = Box(-1, 1, (3,))
    action_space = Box(-1, 1, (2,))
class Many(Env):
    action_space = Discrete(4)
class Open(Env):
    action_space = Box(-np.inf, np.inf, (2,))
class Whole(Env):
    action_space = Box(-2, 2, (2,), np.int64)
class Fixed(Env):
    action_space = Box(np.arange(40, dtype=np.float32), np.full(40, 39, np.float32))
class Wide(Env):
    action_space = Box(np.finfo(np.float32).min, np.finfo(np.float32).max, (2,))
def limited(): return gymnasium.wrappers.TimeLimit(Env(), 10)
def many(): return gymnasium.wrappers.TimeLimit(Many(), 10)
def text(): return "env"
class Blank(Env):
    def reset(self, *, seed=None, options=None): return np.zeros(3, np.float32), {}
    def step(self, action): return np.zeros(3, np.float32), 0.0, False, False, {}
class Empty(Blank):
    def render(self): return None
def blank(render_mode=None): return gymnasium.wrappers.TimeLimit(Blank(), 10)
def empty(render_mode=None): return gymnasium.wrappers.TimeLimit(Empty(), 10)
"""


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere:make", "nowhere:make: nowhere cannot be imported: No module named 'nowhere'"),
        ("own_tasks:limitd", "own_tasks has no 'limitd'; did you mean 'limited'?"),
        ("own_tasks:Env", "its episodes have no limit; give gymnasium.make max_episode_steps"),
        ("own_tasks:many", "its action space is Discrete(4); it must be a Box"),
        ("own_tasks:Open", "it must be a Box of one dimension with finite bounds"),
        (
            "own_tasks:Whole",
            "int64); it must be a Box of one dimension with finite bounds, of floating",
        ),
        ("own_tasks:Fixed", "each low below its high by a finite number"),
        ("own_tasks:Wide", "each low below its high by a finite number"),
        ("own_tasks:text", "returned str, not a Gymnasium environment"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tasks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_tasks", raising=False)
    assert lookup(reference)
    with pytest.raises(CdredError) as caught:
        make(reference)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("own_tasks:limited", "no film: takes no render_mode, so it cannot be rendered"),
        ("own_tasks:blank", "no film: its environment cannot be rendered: by render_mode 'rgb_"),
        ("own_tasks:empty", "no film: its environment cannot be rendered: by render_mode 'rgb_"),
    ],
)
def test_what_cannot_be_filmed_says_why_and_nothing_else(
    reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tasks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.raises(CdredError) as caught:
        film(reference, (3, np.zeros((3, 2), np.float32), tmp_path / "film.mp4"))
    assert str(caught.value).startswith(f"{reference}: {message}")
    assert "Error" not in str(caught.value) and "\n" not in str(caught.value)
