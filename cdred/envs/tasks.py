"""Looking up tasks of all suites by name. Standard library alone: the engines read it while they
plan."""

from __future__ import annotations

import re

from cdred import plugins, suites
from cdred.errors import CdredError, nearest
from cdred.suites import Task

OBS = ("state", "rgb")  # observation modes: a vector, or stacked frames
PIXELS, FRAMES = 64, 3  # of `rgb`: height and width, and how many frames
PIXEL_SHAPE = (3 * FRAMES, PIXELS, PIXELS)


def lookup(name: str) -> Task | None:
    """The task called `name`, or the one that a reference `module:function` stands for."""
    return next((task for s in suites.NAMES if (task := suites.suite(s).find(name))), None)


def find(name: str) -> Task:
    """As `lookup`. Raises CdredError with the nearest name if there is none."""
    if (task := lookup(name)) is not None:
        return task
    raise CdredError(f"no task is called {name!r}; {nearest(name, names())}")


def check_trusted(name: str) -> None:
    """Refuse a task that an agent or artifact names, which must not choose what is imported.

    Raises CdredError when it is `module:function` of a module that its user did not import.
    """
    if plugins.REFERENCE.fullmatch(name) and not plugins.is_trusted(name):
        module = name.partition(":")[0]
        raise CdredError(
            f"its task is {name}, of a module of somebody's own; import {module} first, if you "
            f"trust it, or, if it is installed, call cdred.make({name!r})"
        )


def names() -> list[str]:
    """The tasks of all suites."""
    return [name for s in suites.NAMES for name in suites.suite(s).tasks]


def file_name(name: str) -> str:
    """The name of a task in paths: its own, with hyphens in place of `:` and `.`."""
    return re.sub(r"[:.]", "-", name)
