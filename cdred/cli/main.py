"""The parser of all commands, and the run of one."""

from __future__ import annotations

import argparse
from typing import NoReturn

from cdred import __version__
from cdred.cli import experiment, inspect, share, stages, tools
from cdred.errors import CdredError
from cdred.system.exit_status import exit_status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CdredError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="cdred", description="Reproduce CDRED as cached stages.")
    top.add_argument("--version", action="version", version=f"cdred {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (stages, experiment, inspect, share, tools):
        group.add(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status; 2 for what a user can mend."""
    return exit_status(lambda: _run(argv))


def _run(argv: list[str] | None) -> int | None:
    args = parser().parse_args(argv)
    status: int | None = args.run(args)
    return status
