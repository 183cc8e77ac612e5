"""The task table. Standard library alone: the engines read it while they plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A task's simulator names and its episodes; lengths are in agent steps."""

    suite: str
    domain: str
    task: str
    action_repeat: int = 2
    episode_length: int = 500


# dm_control's suite names, as `domain task ...`. Names follow TD-MPC2: ball_in_cup is `cup`.
_DMCONTROL = """
acrobot swingup swingup_sparse
ball_in_cup catch
cartpole balance balance_sparse swingup swingup_sparse three_poles two_poles
cheetah run
dog fetch run stand trot walk
finger spin turn_easy turn_hard
fish swim upright
hopper hop stand
humanoid run run_pure_state stand walk
humanoid_CMU run stand walk
lqr lqr_2_1 lqr_6_2
manipulator bring_ball bring_peg insert_ball insert_peg
pendulum swingup
point_mass easy hard
quadruped escape fetch run walk
reacher easy hard
stacker stack_2 stack_4
swimmer swimmer15 swimmer6
walker run stand walk
"""


def _dmcontrol_tasks() -> dict[str, Task]:
    table = {}
    for line in _DMCONTROL.strip().splitlines():
        domain, *tasks = line.split()
        for task in tasks:
            name = f"{domain.replace('ball_in_cup', 'cup')}-{task}".replace("_", "-").lower()
            table[name] = Task("dmcontrol", domain, task)
    return table


TASKS: dict[str, Task] = _dmcontrol_tasks()
