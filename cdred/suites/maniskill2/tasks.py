"""ManiSkill2's tasks. Standard library alone: the engines read it while they plan."""

from __future__ import annotations

from cdred.suites import Sizes, Suite, Task

EPISODE_LENGTH = 100

# As in TD-MPC2: positions where the gripper need not turn.
_CONTROL = {7: "pd_ee_delta_pose", 4: "pd_ee_delta_pos"}  # by action_dim
# Names in the simulator, and the sizes under these control modes.
_TABLE = {
    "lift-cube": ("LiftCube-v0", 42, 4),
    "pick-cube": ("PickCube-v0", 51, 4),
    "stack-cube": ("StackCube-v0", 55, 4),
    "pick-ycb": ("PickSingleYCB-v0", 51, 7),
    "turn-faucet": ("TurnFaucet-v0", 40, 7),
}

SUITE = Suite(
    "ManiSkill2",
    "success",
    {
        name: Task(
            "maniskill2",
            simulator,
            "success",
            Sizes(obs_dim, action_dim, EPISODE_LENGTH),
            control_mode=_CONTROL[action_dim],
            scripted=name.endswith("-cube"),
        )
        for name, (simulator, obs_dim, action_dim) in _TABLE.items()
    },
    packages=("mani_skill2", "sapien"),
    last_python=(3, 11),
)
