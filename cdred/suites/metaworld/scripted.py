"""The policies that Meta-World ships with its tasks."""

from __future__ import annotations

from typing import Any

from cdred.suites import Task
from cdred.suites.rendering import importing_mujoco


def policy(task: Task) -> Any:
    """The benchmark's own policy for `task`: `get_action(obs)` with the observation (39,)."""
    with importing_mujoco(False):
        from metaworld.policies import ENV_POLICY_MAP

    return ENV_POLICY_MAP[task.simulator]()  # type: ignore[abstract]
