"""Errors as a user sees them: without secrets, and with what the file system has to say."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from cdred.errors import LONGEST, CdredError, reason, without_secrets
from cdred.system.progress import configure_logging, logger


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("https://ada:hunter22@hub.lab/x", "https://hub.lab/x"),
        ("https://hunter22@hub.lab:8080", "https://hub.lab:8080"),
        ("see 'http://ada:hunter22@hub.lab'.", "see 'http://hub.lab'."),
        ("s3://key:hunter22@[::1]:80/a and http://a:hunter22@b", "s3://[::1]:80/a and http://b"),
        ("http://ada:hun/ter22@hub.lab/x", "http://hub.lab/x"),
        ("http://ada:12/hunter22@hub.lab/x", "http://hub.lab/x"),
        ("http://ada:hunter@22?x#y@hub.lab/x", "http://hub.lab/x"),
        ("postgresql+psycopg2://hub.lab/db?user=ada&password=hunter22", "postgresql+psycopg2://hub.lab/db"),
        ("SOCKS5H://ada:hunter22@proxy:1080", "SOCKS5H://proxy:1080"),
        ("HF_ENDPOINT=ada:hunter22@hub.lab: wrong", "HF_ENDPOINT=hub.lab: wrong"),
        ("hf://lab/data@v1, ada@hub.lab, a://", "hf://lab/data@v1, ada@hub.lab, a://"),
        ("Illegal header value b'Bearer hf_hunter22'", "Illegal header value b'Bearer ***'"),
    ],
)  # fmt: skip
def test_secrets_are_not_shown(text: str, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_hunter22")
    assert without_secrets(text) == public
    assert str(CdredError(text)) == reason(ValueError(text)) == public


def test_nor_are_they_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = list(logger.handlers)
    configure_logging([tmp_path / "log"])
    try:
        logger.warning("no answer from %s", "https://ada:hunter22@hub.lab/x")
    finally:
        configure_logging([], quiet=True)
        logger.handlers[:] = handlers
        logging.raiseExceptions = True
    for text in ((tmp_path / "log").read_text(), capsys.readouterr().err):
        assert "no answer from https://hub.lab/x" in text


def test_a_reason_is_one_line_with_its_causes() -> None:
    try:
        try:
            raise OSError("no\nanswer")
        except OSError as exc:
            raise RuntimeError("given up") from exc
    except RuntimeError as exc:
        assert reason(exc) == "given up: no answer"
    assert reason(ValueError()) == "ValueError"
    assert reason(ValueError("x" * 9999)) == "x" * LONGEST + "..."
    assert reason(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")) == (
        "Connection refused"
    )


@pytest.mark.parametrize(
    ("number", "name", "text"),
    [
        (errno.ENAMETOOLONG, "x" * 300, f"{'x' * 70}...{'x' * 70}: File name too long"),
        (errno.EISDIR, "folder", "folder: Is a directory"),
        (errno.ESTALE, "file", "file: Stale file handle"),
        (errno.ENOTDIR, "file/a/b", "file: Not a directory"),
        (errno.EEXIST, "file", "file: cannot be written: File exists"),
        (errno.EEXIST, "link", "link: a link to nothing, which is not there"),
        (errno.ENOENT, "link/a", "link: a link to nothing, which is not there"),
        (errno.EROFS, "folder/a", "folder/a: cannot be written: Read-only file system"),
        (errno.EACCES, "file", "file: cannot be written: Permission denied"),
        (errno.EACCES, "folder/a", "folder/a: cannot be written: Permission denied"),
        (errno.EACCES, "closed", "closed: cannot be read: Permission denied"),
        (errno.EACCES, "closed/a", "closed/a: cannot be opened: Permission denied"),
        (errno.ENOSPC, b"file", "file: cannot be written: No space left on device; make room and run the same again"),
    ],
)  # fmt: skip
def test_a_file_s_error_tells_the_file_and_what_failed(
    number: int, name: str | bytes, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    Path("closed").mkdir()
    Path("link").symlink_to("nothing")
    monkeypatch.setattr(os, "access", lambda path, mode: path != "closed")  # root may do all
    assert reason(OSError(number, os.strerror(number), name)) == text


def test_a_write_without_a_name_is_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    full = OSError(errno.ENOSPC, "full")
    assert reason(full).startswith(f"{tmp_path}: cannot be written: full")
    tmp_path.rmdir()
    assert reason(full).startswith("the current directory: ")


@pytest.mark.parametrize("blank", [" ", "\t", "  "])
def test_a_password_with_a_blank_in_it_is_a_password(
    blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://bob:hunter2{blank}longpass@127.0.0.1:9"
    monkeypatch.setenv("HF_ENDPOINT", address)
    for text in (f"no answer of {address}/api", f"no answer of {' '.join(address.split())}/api"):
        assert without_secrets(text) == "no answer of http://127.0.0.1:9/api"


@pytest.mark.timeout(20)
def test_long_texts_are_read_once() -> None:
    text = "F" * 1_000_000
    assert without_secrets(text) == text
