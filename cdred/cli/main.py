"""The parser of all commands, what completes its arguments, and the run of one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from cdred import __version__
from cdred.cli import experiment, inspect, share, stages, tools
from cdred.cli.arguments import FOLDERS, command, subparsers
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
    p = command(
        commands, "completion", "print what makes a shell complete the arguments of cdred",
        "source <(cdred completion bash)",
    )  # fmt: skip
    p.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that is to complete")
    p.set_defaults(run=completion)
    return top


def completion(args: argparse.Namespace) -> None:
    try:
        import shtab
    except ImportError:
        raise CdredError(
            "completion: needs shtab, which comes with DVC; pip install 'cdred[pipeline]', or "
            "`make setup` in a checkout"
        ) from None
    top = parser()
    for _, p in subparsers(top):
        for action in p._actions:
            if action.type is Path:
                is_folder = action.metavar in FOLDERS
                action.complete = shtab.DIRECTORY if is_folder else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(top, args.shell))


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status; 2 for what a user can mend."""
    return exit_status(lambda: _run(argv))


def _run(argv: list[str] | None) -> int | None:
    args = parser().parse_args(argv)
    status: int | None = args.run(args)
    return status
