"""Arguments that several groups of commands share."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import Any, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[Any]"

FOLDERS = ("A", "ARTIFACT", "B", "DIR")  # how the help calls arguments that are folders


def command(
    commands: Commands, name: str, sentence: str, example: str, more: str = ""
) -> argparse.ArgumentParser:
    """The parser of a command: `sentence` is its line in `cdred --help`, `more` what else its own
    help says before the options, `example` a command that does something."""
    described = f"{sentence[0].upper()}{sentence[1:]}."
    return commands.add_parser(
        name, help=sentence, description=f"{described}\n\n{more}" if more else described,
        epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def subparsers(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands of a parser, by name."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


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
