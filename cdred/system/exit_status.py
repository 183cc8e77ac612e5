"""The boundary of a process: what its command raises becomes an exit status and one line."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable

from cdred.errors import CdredError, reason, without_secrets
from cdred.system.progress import to_log


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command. Returns its exit status: 2 for what a user can mend, 1 for an error of ours,
    with the traceback."""
    _open_standard_streams()
    try:
        status = command() or 0
        _flush()
        return status
    except CdredError as exc:
        return _refuse(str(exc))
    except ModuleNotFoundError as exc:
        if (exc.name or "cdred").split(".")[0] == "cdred":
            return _fail()
        return _refuse(f"this needs {exc.name}, which is not installed: `make setup`")
    except BrokenPipeError:  # `cdred status | head`: its reader has seen enough
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as exc:
        return _refuse(reason(exc))
    except KeyboardInterrupt:
        print("cdred: interrupted", file=sys.stderr)
        return 130
    except Exception:
        return _fail()


def _refuse(message: str) -> int:
    print(f"cdred: {message}", file=sys.stderr)
    to_log(f"error: {message}")
    return 2


def _fail() -> int:
    print(without_secrets(traceback.format_exc()), end="", file=sys.stderr)
    return 1


def _open_standard_streams() -> None:
    """Open what this process was started without (`>&-`): else a file would take its number.
    Names that are not text can be printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        _drop_output()
        raise CdredError(f"the output cannot be written: {exc.strerror}") from None


def _drop_output() -> None:
    """Let standard output take what is left to print, else Python tries it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
