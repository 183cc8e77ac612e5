"""DMControl's tasks. Standard library alone: the engines read it while they plan."""

from __future__ import annotations

from collections.abc import Iterator

from cdred.suites import Sizes, Suite, Task

EPISODE_LENGTH = 500

# Domain, sizes of observation and action, its tasks. Names follow TD-MPC2: ball_in_cup is `cup`.
_TABLE = """
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


def _tasks() -> Iterator[tuple[str, Task]]:
    for line in _TABLE.strip().splitlines():
        domain, obs_dim, action_dim, *tasks = line.split()
        sizes = Sizes(int(obs_dim), int(action_dim), EPISODE_LENGTH)
        for task in tasks:
            name = f"{domain.replace('ball_in_cup', 'cup')}-{task}".replace("_", "-").lower()
            yield name, Task("dmcontrol", f"{domain} {task}", "return", sizes)


SUITE = Suite("DMControl", "return", dict(_tasks()), packages=("dm_control", "shimmy"))
