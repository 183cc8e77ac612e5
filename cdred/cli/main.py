"""The parser of all commands, and what happens to their errors."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from cdred import __version__
from cdred.cli import experiment, inspect, share, stages, tools
from cdred.errors import CdredError
from cdred.system.progress import to_log

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, *_FULL)


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
    try:
        args = parser().parse_args(argv)
        status: int = args.run(args) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `cdred status | head`: its reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except CdredError as exc:
        print(f"cdred: {exc}", file=sys.stderr)
        to_log(f"error: {exc}")
        return 2
    except ModuleNotFoundError as exc:
        if (exc.name or "cdred").split(".")[0] == "cdred":
            raise
        print(
            f"cdred: this needs {exc.name}, which is not installed: `make setup`", file=sys.stderr
        )
        return 2
    except OSError as exc:
        if exc.errno not in _NOT_WRITABLE:
            raise
        where = exc.filename or Path.cwd()
        again = "; make room and run the same again" if exc.errno in _FULL else ""
        print(f"cdred: {where}: cannot be written: {exc.strerror}{again}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cdred: interrupted", file=sys.stderr)
        return 130
