"""Exceptions of a command: an exit status and one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from cdred.errors import CdredError
from cdred.system.exit_status import exit_status

SECRET = "https://ada:hunter22@hub.lab"


def raising(exc: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise exc

    return command


@pytest.mark.parametrize(
    ("exc", "status", "line"),
    [
        (CdredError(f"{SECRET}: wrong"), 2, "https://hub.lab: wrong"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), 2, "x: Is a directory"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), 2, "reset"),
        (ModuleNotFoundError(name="torch.nn"), 2, "this needs torch.nn, which is not installed: `make setup`"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_one_line(
    exc: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(raising(exc)) == status
    assert capsys.readouterr().err == f"cdred: {line}\n"


def test_an_error_of_ours_is_a_traceback_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_status(raising(AssertionError(SECRET))) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "AssertionError: https://hub.lab" in err and "hunter" not in err


@pytest.mark.parametrize(
    ("redirection", "status", "line"),
    [
        (">&-", 3, ""),
        ("<&- >&- 2>&-", 3, ""),
        ("2>&-", 3, ""),
        (">/dev/full", 2, "cdred: the output cannot be written: No space left on device\n"),
    ],
)
def test_standard_streams_that_are_not_there(redirection: str, status: int, line: str) -> None:
    code = (
        "import sys; from cdred.system.exit_status import exit_status\n"
        "def command():\n"
        "    print('a surrogate, \\udcff', '.' * 999)\n"
        "    with open('/dev/null') as file: assert file.fileno() > 2\n"
        "    return 3\n"
        "sys.exit(exit_status(command))"
    )
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "-", sys.executable, "-c", code],
        capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": ""},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, line)
