"""Trajectories that ManiSkill2 recorded: NAME.h5 and, beside it, NAME.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cdred import documents
from cdred.demos import files, hdf5
from cdred.demos.recorded import Recorded
from cdred.documents import Document
from cdred.envs.tasks import find
from cdred.errors import CdredError


class _Environment(Document):
    env_id: str
    env_kwargs: dict[str, Any] | None = None


class _Episode(Document):
    episode_id: int
    episode_seed: Any = None
    control_mode: str | None = None


class _Described(Document):
    """The content of NAME.json."""

    env_info: _Environment
    episodes: list[_Episode]


REPLAY = "python -m mani_skill2.trajectory.replay_trajectory"


def read(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """Yield the episodes of a file.

    They must hold state observations and actions of the task's control mode, which ManiSkill2's
    own replay_trajectory adds and changes.
    """
    description = file.with_suffix(".json")
    described = documents.check(_Described, files.read_json(description), description.name)
    info = described.env_info
    if info.env_id != find(task).simulator:
        made_for = files.brief(info.env_id)
        raise CdredError(f"{name}: demonstrations of {made_for}, not of {task}")
    general = str((info.env_kwargs or {}).get("control_mode") or "") or None
    if len({e.episode_id for e in described.episodes}) < len(described.episodes):
        raise CdredError(f"{description.name}: episodes: an episode_id stands twice")
    with hdf5.opened(file) as stored:
        for k, e in enumerate(described.episodes):
            _check_control(f"{name}, episode {k}", {general, e.control_mode}, name, task)
            yield _recording(hdf5.group(stored, f"traj_{e.episode_id}"), name, e)


def _check_control(where: str, stated: set[Any], name: str, task: str) -> None:
    """Raise CdredError unless an episode's control mode is stated, and the task's."""
    needed = find(task).control_mode
    for mode in (stated - {None}) or {"missing"}:
        if mode != needed:
            raise CdredError(
                f"{where}: control_mode {files.brief(mode)}, not {needed}; {REPLAY} "
                f"--traj-path {name} -c {needed} -o state --save-traj changes it"
            )


def _recording(trajectory: Any, name: str, described: _Episode) -> Recorded:
    import h5py

    if not isinstance(trajectory.get("obs"), h5py.Dataset):
        raise CdredError(
            f"{name}: no state observations; {REPLAY} --traj-path {name} -o state --save-traj "
            f"makes them"
        )
    obs, action, reward, success = (
        hdf5.array(trajectory, field) for field in ("obs", "actions", "rewards", "success")
    )
    return Recorded(obs, action, reward, success, described.episode_seed)
