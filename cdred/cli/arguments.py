"""Arguments that several groups of commands share."""

from __future__ import annotations

import argparse
import contextlib
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_tolerance(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--tolerance", type=float, default=0.05, metavar="SHARE",
        help="on another kind of machine: allowed difference of an episode's return, as a share of "
        "the largest recorded (default: %(default)s)",
    )  # fmt: skip


def repository(text: str) -> tuple[str, str | None]:
    """The name and the revision of ID[@REVISION]."""
    name, _, revision = text.partition("@")
    return name, revision or None


def import_own_modules() -> None:
    """Import the modules of one's own that params.yaml names, if there is one that is valid.

    An agent of such a method, or for such a task, is loaded only then: no file may choose what is
    imported.
    """
    from cdred import plugins
    from cdred.config import load
    from cdred.errors import CdredError

    with contextlib.suppress(CdredError):
        for task in load().experiment.tasks:  # which imports the methods
            if plugins.REFERENCE.fullmatch(task):
                plugins.trust(task)
