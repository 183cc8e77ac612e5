"""A task of one's own from another package: AntMaze, D4RL's U-shaped maze (arXiv 2004.07219).

In an experiment it is `tasks: ["antmaze:make"]`, after `pip install gymnasium-robotics`. A robot
with four legs starts in one end of the maze and is to come within 0.45 m of the other. The reward
is 1 in each step there, else 0.

Unlike D4RL's, episodes go on at the goal: those of one length suit a learner without a notion of
their end. Whether the goal was reached at all, D4RL's measure, is `success_once`. Contact forces
are no part of the observation, as in D4RL's: place, goal, then 27 numbers of the joints.
"""

from __future__ import annotations

import gymnasium

MAZE = [
    [1, 1, 1, 1, 1],
    [1, "r", 0, 0, 1],
    [1, 1, 1, 0, 1],
    [1, "g", 0, 0, 1],
    [1, 1, 1, 1, 1],
]


def make(render_mode: str | None = None) -> gymnasium.Env:
    """The task, of 700 steps; another maze is another `maze_map`."""
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    return gymnasium.make(
        "AntMaze_UMaze-v5",
        maze_map=MAZE,
        include_cfrc_ext_in_observation=False,
        render_mode=render_mode,
    )
