"""The boundary of a process: what its command raises becomes an exit status and one line."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TextIO

from cdred.errors import FULL, CdredError, printable, reason, without_secrets
from cdred.system.progress import to_log


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command. Returns its exit status: 2 for what a user can mend, 1 for an error of ours,
    with the traceback."""
    _open_standard_streams()
    status = _status(command)
    _flush()
    return status


def _status(command: Callable[[], int | None]) -> int:
    try:
        status = command() or 0
        sys.stdout.flush()
        return status
    except CdredError as exc:
        return _refuse(str(exc))
    except ModuleNotFoundError as exc:
        if (exc.name or "cdred").split(".")[0] == "cdred":
            return _fail()
        return _refuse(f"this needs {exc.name}, which is not installed: `make setup`")
    except BrokenPipeError:  # `cdred status | head`: its reader has seen enough
        _drop(sys.stdout)
        return 128 + signal.SIGPIPE
    except OSError as exc:
        unnamed = exc.filename is None and exc.errno in FULL
        return _refuse(_flush(b"\n" if unnamed else b"") or reason(exc))
    except KeyboardInterrupt:
        _say("cdred: interrupted\n")
        return 130
    except Exception as exc:
        failed = _not_imported(exc)
        return _refuse(failed) if failed else _fail()


def _not_imported(exc: Exception) -> str:
    """The line about an installed library that raised while it was imported, which is the
    environment's doing: it reads variables then. Nothing for any other error."""
    library = ""
    for frame, _ in traceback.walk_tb(exc.__traceback__):
        code = frame.f_code
        if code.co_name == "<module>" and "site-packages" in code.co_filename:
            library = str(frame.f_globals["__name__"]).partition(".")[0]
    if not library:
        return ""
    text = " ".join(str(exc).split())
    read = [
        name
        for name, value in sorted(os.environ.items())
        if library.upper() in name or (value and repr(value) in text)
    ]
    hint = f"; is it a variable of the environment: {', '.join(read)}?" if read else ""
    return f"{library} cannot be imported: {reason(exc)}{hint}"


def _refuse(message: str) -> int:
    _say(f"cdred: {message}\n")
    to_log(f"error: {message}")
    return 2


def _fail() -> int:
    _say(printable(without_secrets(traceback.format_exc())))
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


def _say(text: str) -> None:
    """Print to standard error, if it takes anything; the exit status says the rest."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def _flush(more: bytes = b"") -> str:
    """Write out what was printed, then `more`. Returns the reason why that cannot be done, or
    nothing."""
    try:
        sys.stdout.flush()
        if more:
            os.write(sys.stdout.fileno(), more)
        return ""
    except OSError as exc:
        _drop(sys.stdout)
        return f"the output cannot be written: {exc.strerror}"


def _drop(stream: TextIO) -> None:
    """Send what a stream still holds nowhere; Python would try to write it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
