"""Demonstrations that others recorded, read without executing anything that they hold.

One module a format, each with `read(file, name, task)`, which yields `Recorded` episodes.
"""

from __future__ import annotations

import pickle as standard_pickle
from collections.abc import Iterable
from pathlib import Path

from cdred.demos import dataset
from cdred.demos.importers import maniskill2, minari, pickle
from cdred.demos.importers.recorded import check, strided
from cdred.demos.selection import Selection
from cdred.envs.episodes import Episode
from cdred.errors import CdredError

FORMATS = {module.__name__.rpartition(".")[2]: module for module in (minari, maniskill2, pickle)}
# What numpy, h5py and the formats themselves raise on files that are not what they should be.
_UNREADABLE = (
    OSError, KeyError, ValueError, TypeError, IndexError, standard_pickle.UnpicklingError,
)  # fmt: skip


def read(
    root: Path, task: str, source: str, path: str, selection: Selection, stride: int = 1
) -> list[Episode]:
    """Read the selected episodes of `path`, a recording in the format `source`, as the task's
    learner sees them; of a recording at another rate every `stride`-th step.

    Raises CdredError naming what is missing, cannot be read, or does not fit the task.
    """
    file = root / path
    if not file.exists() and FORMATS[source] is not minari:  # which also takes ids
        raise CdredError(f"{path}: no such file")
    try:
        recorded = enumerate(FORMATS[source].read(file, path, task))
        episodes = ((k, one.episode(k)) for k, one in recorded)
        return _selected(path, task, episodes, selection, stride)
    except _UNREADABLE as exc:
        reason = " ".join(str(exc).split()) or type(exc).__name__
        raise CdredError(f"{path}: cannot be read as {source}: {reason}") from None


def read_published(where: str, folder: Path, task: str, selection: Selection) -> list[Episode]:
    """Read the selected episodes of demonstrations that cdred published, pulled into `folder`."""
    return _selected(where, task, enumerate(dataset.read(folder)), selection, stride=1)


def _selected(
    where: str, task: str, episodes: Iterable[tuple[int, Episode]], selection: Selection,
    stride: int,
) -> list[Episode]:  # fmt: skip
    """The first episodes that are accepted, each checked before."""
    kept: list[Episode] = []
    for k, episode in episodes:
        check(f"{where}, episode {k}", episode, task, selection.obs)
        if selection.accepts(episode):
            kept.append(strided(episode, stride))
        if len(kept) == selection.episodes:
            return kept
    rule = f" that are as required ({selection.rule})" if selection.rule else ""
    raise CdredError(
        f"{where}: {selection.episodes} episodes asked for, {len(kept)} are there{rule}"
    )
