"""Demonstrations that others recorded, read without executing anything that they hold.

One module a format, each with `read(file, name, task)`, which yields `Recorded` episodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cdred.demos import dataset, files
from cdred.demos.importers import maniskill2, minari, pickle
from cdred.demos.recorded import Expected, Recorded, strided
from cdred.demos.selection import Selection
from cdred.envs.episodes import Episode
from cdred.errors import CdredError

FORMATS = {module.__name__.rpartition(".")[2]: module for module in (minari, maniskill2, pickle)}


def read(
    root: Path, task: str, source: str, path: str, selection: Selection, stride: int = 1
) -> list[Episode]:
    """Read the selected episodes of `path`, a recording in the format `source`, as the task's
    learner sees them; of a recording at another rate every `stride`-th step.

    Raises CdredError naming what is missing, cannot be read, or does not fit the task.
    """
    file, module = root / path, FORMATS[source]
    with files.one_line(path, source):
        if not file.exists() and module is not minari:  # which also takes ids
            raise CdredError(f"{path}: no such file")
        expected = Expected(task, selection.obs, stride)
        return _selected(path, module.read(file, path, task), expected, selection)


def read_published(where: str, folder: Path, task: str, selection: Selection) -> list[Episode]:
    """Read the selected episodes of demonstrations that cdred published, pulled into `folder`."""
    with files.one_line(where, "a Minari dataset"):
        recorded = dataset.recordings(where, folder / "data", task)
        return _selected(where, recorded, Expected(task, selection.obs), selection)


def _selected(
    where: str, recorded: Iterable[Recorded], expected: Expected, selection: Selection
) -> list[Episode]:
    """The first episodes that are accepted, each checked before."""
    kept: list[Episode] = []
    for k, one in enumerate(recorded):
        episode = one.episode(f"{where}, episode {k}", k, expected)
        if (field := selection.undecided(episode)) is not None:
            raise CdredError(
                f"{where}, episode {k}: its {field} were not recorded: whether it is as required "
                f"({selection.rule}) is not known"
            )
        if selection.accepts(episode):
            kept.append(strided(episode, expected.stride))
        if len(kept) == selection.episodes:
            return kept
    rule = f" that are as required ({selection.rule})" if selection.rule else ""
    raise CdredError(
        f"{where}: {selection.episodes} episodes asked for, {len(kept)} are there{rule}"
    )
