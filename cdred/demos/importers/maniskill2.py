"""Trajectories that ManiSkill2 recorded: NAME.h5 and, beside it, NAME.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cdred.demos.importers.recorded import Recorded
from cdred.envs.tasks import find
from cdred.errors import CdredError


def read(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """Yield the episodes of a file.

    They must hold state observations: `mani_skill2.trajectory.replay_trajectory -o state` adds
    them, and changes the control mode.
    """
    import h5py

    described = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    env_id = described["env_info"]["env_id"]
    if env_id != find(task).simulator:
        raise CdredError(f"{name}: demonstrations of {env_id}, not of {task}")
    with h5py.File(file) as stored:
        for e in described["episodes"]:
            trajectory = stored[f"traj_{e['episode_id']}"]
            if not isinstance(trajectory.get("obs"), h5py.Dataset):
                raise CdredError(
                    f"{name}: no state observations; python -m mani_skill2.trajectory."
                    f"replay_trajectory --traj-path {name} -o state --save-traj makes them"
                )
            rewards = trajectory.get("rewards")
            yield Recorded(
                trajectory["obs"][:], trajectory["actions"][:],
                None if rewards is None else rewards[:], trajectory["success"][:],
                e.get("episode_seed"),
            )  # fmt: skip
