"""The task table. Standard library alone: the engines read it while they plan."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from cdred.errors import CdredError, nearest

OBS = ("state", "rgb")  # a vector, or three stacked frames


@dataclass(frozen=True)
class Task:
    """A task's name in its simulator, its sizes, and its episodes in agent steps.

    `published` is TD-MPC2's final score at this task (mean of three seeds, as published with its
    code): the return of an episode, or, where `measure` is `success`, the share that succeed.
    """

    suite: str
    simulator: str
    obs_dim: int  # of `state`
    action_dim: int
    episode_length: int
    published: float | None = None
    action_repeat: int = 2

    @property
    def measure(self) -> str:
        """What says how well an episode went: `return`, or `success`."""
        return "return" if self.suite == "dmcontrol" else "success"


SUITES = {"dmcontrol": "DMControl", "metaworld": "Meta-World", "maniskill2": "ManiSkill2"}
# What each is made of; every suite may be absent.
_PACKAGES = {
    "dmcontrol": ("dm_control", "shimmy"),
    "metaworld": ("metaworld",),
    "maniskill2": ("mani_skill2", "sapien"),
}


def not_installed(suite: str) -> str | None:
    """How to install the suite's packages if one of them is not there, else None."""
    missing = [name for name in _PACKAGES[suite] if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    reason = f"{SUITES[suite]} is not installed ({', '.join(missing)}); "
    if suite == "maniskill2" and sys.version_info >= (3, 12):
        return f"{reason}it has no version for Python {platform.python_version()}, only up to 3.11"
    return f"{reason}pip install 'cdred[{suite}]', or `make setup` in a checkout"


# dm_control's suite: domain, sizes of observation and action, its tasks. Names follow TD-MPC2:
# ball_in_cup is `cup`.
_DMCONTROL = """
acrobot 6 1 swingup swingup_sparse
ball_in_cup 8 2 catch
cartpole 5 1 balance balance_sparse swingup swingup_sparse
cartpole 8 1 two_poles
cartpole 11 1 three_poles
cheetah 17 6 run
dog 223 38 run stand trot walk
dog 232 38 fetch
finger 9 2 spin
finger 12 2 turn_easy turn_hard
fish 21 5 upright
fish 24 5 swim
hopper 15 4 hop stand
humanoid 55 21 run_pure_state
humanoid 67 21 run stand walk
humanoid_CMU 137 56 run stand walk
lqr 4 1 lqr_2_1
lqr 12 2 lqr_6_2
manipulator 44 5 bring_ball bring_peg insert_ball insert_peg
pendulum 3 1 swingup
point_mass 4 2 easy hard
quadruped 78 12 run walk
quadruped 90 12 fetch
quadruped 101 12 escape
reacher 6 2 easy hard
stacker 49 5 stack_2
stacker 63 5 stack_4
swimmer 25 5 swimmer6
swimmer 61 14 swimmer15
walker 24 6 run stand walk
"""

# All 50 of Meta-World: 39 numbers observed (the goal among them), 4 acted on.
_METAWORLD = """
assembly basketball bin-picking box-close button-press button-press-topdown
button-press-topdown-wall button-press-wall coffee-button coffee-pull coffee-push dial-turn
disassemble door-close door-lock door-open door-unlock drawer-close drawer-open faucet-close
faucet-open hammer hand-insert handle-press handle-press-side handle-pull handle-pull-side
lever-pull peg-insert-side peg-unplug-side pick-out-of-hole pick-place pick-place-wall plate-slide
plate-slide-back plate-slide-back-side plate-slide-side push push-back push-wall reach reach-wall
shelf-place soccer stick-pull stick-push sweep sweep-into window-close window-open
"""

# ManiSkill2's names, and the sizes under TD-MPC2's control modes (cdred/envs/maniskill2.py).
_MANISKILL2 = {
    "lift-cube": ("LiftCube-v0", 42, 4),
    "pick-cube": ("PickCube-v0", 51, 4),
    "stack-cube": ("StackCube-v0", 55, 4),
    "pick-ycb": ("PickSingleYCB-v0", 51, 7),
    "turn-faucet": ("TurnFaucet-v0", 40, 7),
}

# The last points of TD-MPC2's published curves, https://github.com/nicklashansen/tdmpc2 (results/).
_PUBLISHED = {
    "cheetah-run": 895.8, "hopper-hop": 449.2, "walker-run": 877.2, "humanoid-walk": 900.2,
    "reacher-hard": 981.8, "dog-stand": 979.8, "walker-walk": 981.1, "walker-stand": 992.7,
    "reacher-easy": 987.2, "cartpole-swingup": 877.2, "pendulum-swingup": 838.0,
    "cup-catch": 983.8, "finger-spin": 990.5, "mw-box-close": 0.95, "mw-bin-picking": 0.95,
    "mw-reach-wall": 0.9, "mw-stick-pull": 0.95, "mw-stick-push": 0.95, "mw-reach": 0.95,
    "mw-window-open": 1.0, "mw-button-press-topdown": 1.0, "mw-soccer": 1.0, "pick-cube": 1.0,
    "lift-cube": 1.0, "stack-cube": 0.9, "turn-faucet": 0.97,
}  # fmt: skip


def _table() -> Iterator[tuple[str, Task]]:
    def entry(name: str, *fields: object) -> tuple[str, Task]:
        return name, Task(*fields, published=_PUBLISHED.get(name))  # type: ignore[arg-type, misc]

    for line in _DMCONTROL.strip().splitlines():
        domain, obs_dim, action_dim, *tasks = line.split()
        for task in tasks:
            name = f"{domain.replace('ball_in_cup', 'cup')}-{task}".replace("_", "-").lower()
            yield entry(name, "dmcontrol", f"{domain} {task}", int(obs_dim), int(action_dim), 500)
    for task in _METAWORLD.split():
        yield entry(f"mw-{task}", "metaworld", f"{task}-v3", 39, 4, 100)
    for name, (simulator, *sizes) in _MANISKILL2.items():
        yield entry(name, "maniskill2", simulator, *sizes, 100)


TASKS: dict[str, Task] = dict(_table())


def find(name: str) -> Task:
    """The task called `name`. Raises CdredError with the nearest name if there is none."""
    if name not in TASKS:
        raise CdredError(f"no task is called {name!r}; {nearest(name, list(TASKS))}")
    return TASKS[name]
