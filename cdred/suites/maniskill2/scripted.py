"""Scripted policies for the tasks with cubes. ManiSkill2 itself has none: its demonstrations come
from a motion planner, which plans an episode as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from transforms3d.quaternions import qconjugate, rotate_vector

from cdred.suites import Task

# An observation begins with the robot: the positions of nine joints, of which the last two are the
# fingers, their velocities and the pose of the base. The tool follows, between the fingertips: its
# position and its rotation as a quaternion. The rest is the task's.
_FINGERS, _TOOL, _ROTATION, _REST = slice(7, 9), slice(25, 28), slice(28, 32), slice(32, None)

# In metres
CUBE = 0.04  # the edge of a cube
ON_TOP = np.array([0, 0, CUBE])
HOVER = np.array([0, 0, 0.06])  # from the cube's centre to where the fingers are clear of it
NEAR = 0.01
GRASPED = (
    0.062  # an opening of the fingers that only a cube between them holds: its diagonal is 0.057
)
REACH = 0.2  # the way that an action of 1 asks for: it is 0.1 m, applied twice

OPEN, CLOSED = 1.0, -1.0

Move = tuple[NDArray[Any], float]  # the tool's way (3,) in m, along the world's axes; the gripper


def policy(task: Task) -> Any:
    """The policy for `task`: `get_action(obs)` with the observation (obs_dim,)."""
    return _POLICIES[task.simulator]()


class PickCube:
    """A gripper that grasps the cube from above and carries it to the goal."""

    def get_action(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Action (4,) in [-1, 1]: the tool's way in the tool's frame, and the gripper."""
        cube, goal = self.places(obs[_REST])
        way, gripper = self.move(cube - obs[_TOOL], obs[_FINGERS].sum(), cube, goal)
        way = rotate_vector(way, qconjugate(obs[_ROTATION]))
        return np.append(np.clip(way / REACH, -1, 1), gripper)

    def places(self, rest: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The places of the cube and of its goal, (3,) each, in m."""
        return rest[6:9], rest[0:3]

    def move(
        self, way: NDArray[Any], opening: float, cube: NDArray[Any], goal: NDArray[Any]
    ) -> Move:
        """The next move; `way` (3,) leads from the tool to the cube, and all is in m."""
        if np.linalg.norm(way[:2]) > NEAR:
            return way + HOVER, OPEN
        if np.linalg.norm(way) > NEAR:
            return way, OPEN
        if opening > GRASPED:
            return way, CLOSED
        return self.carry(cube, goal)

    def carry(self, cube: NDArray[Any], goal: NDArray[Any]) -> Move:
        """The next move with the cube grasped."""
        return goal - cube, CLOSED


class LiftCube(PickCube):
    """A gripper that grasps the cube and lifts it above 0.22 m."""

    def places(self, rest: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return rest[0:3], np.array([*rest[0:2], 0.25])


class StackCube(PickCube):
    """Puts the first cube on the second and lets it go."""

    def places(self, rest: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return rest[0:3], rest[7:10] + ON_TOP

    def move(
        self, way: NDArray[Any], opening: float, cube: NDArray[Any], goal: NDArray[Any]
    ) -> Move:
        if np.abs(goal - cube).max() < NEAR / 2:
            return ON_TOP, OPEN
        return super().move(way, opening, cube, goal)

    def carry(self, cube: NDArray[Any], goal: NDArray[Any]) -> Move:
        way = goal - cube
        if np.linalg.norm(way[:2]) < NEAR / 2:
            return way, CLOSED
        rise = way[2] + CUBE / 2
        aside = way[:2] if rise < NEAR else (0, 0)  # first up: the other cube may stand close by
        return np.array([*aside, rise]), CLOSED


_POLICIES = {"LiftCube-v0": LiftCube, "PickCube-v0": PickCube, "StackCube-v0": StackCube}
