"""Exceptions of a command: an exit status and one line."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cdred.errors import CdredError, reason
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


LIBRARY = """
import os
if os.environ.get("BROKENLIB_LOGS"): raise ValueError("Invalid log settings: " + "x" * 1000)
threads = int(os.environ.get("SOME_THREADS", "1"))
def later(): raise ValueError("not at import")
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [("BROKENLIB_LOGS", "Invalid log settings: x"), ("SOME_THREADS", "invalid literal for int()")],
)
def test_a_library_that_a_variable_keeps_from_being_imported(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "site-packages" / "brokenlib"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv(name, "nonsense")
    monkeypatch.delitem(sys.modules, "brokenlib", raising=False)
    command = lambda: importlib.import_module("brokenlib").later()  # noqa: E731
    assert exit_status(command) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"cdred: brokenlib cannot be imported: {line}")
    assert err.endswith(f"; is it a variable of the environment: {name}?\n") and len(err) < 500
    monkeypatch.delenv(name)
    assert exit_status(command) == 1
    assert "Traceback" in capsys.readouterr().err


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
        ("2>/dev/full", 3, ""),
        (">/dev/full 2>/dev/full", 2, ""),
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


def test_output_that_is_written_while_a_command_runs_may_fail_as_well() -> None:
    done = subprocess.run(["bash", "-c", "cdred tasks >/dev/full"], capture_output=True, text=True)
    line = "cdred: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, line)


@pytest.mark.parametrize("command", ["cdred tasks 2>/dev/full", "cdred status -x 2>/dev/full"])
def test_what_cannot_be_said_changes_no_exit_status(command: str) -> None:
    done = subprocess.run(["bash", "-c", command], capture_output=True)
    assert done.returncode == (2 if "-x" in command else 0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),  # sets a terminal's title
        ("a\rb", r"a\rb"),
        ("abc\u202ecba", r"abc\u202ecba"),
        ("a\u200eb\u061c\u2028", r"a\u200eb\u061c\u2028"),
        ("\udcff", r"\udcff"),
        ("two\nlines, é, 例, क्‍ष", "two\nlines, é, 例, क्‍ष"),
    ],
)
def test_no_message_commands_a_terminal(text: str, shown: str) -> None:
    assert str(CdredError(text)) == shown
    assert reason(ValueError(f"x{text}y")).count("\x1b") == 0


def test_an_argument_does_not_command_a_terminal() -> None:
    done = subprocess.run(["cdred", "status", "-\x1b[31m"], capture_output=True)
    assert done.returncode == 2 and b"\x1b" not in done.stderr
