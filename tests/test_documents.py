"""Files of others are opened, parsed and checked as data alone."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from cdred import documents
from cdred.errors import CdredError


def refused(file: Path) -> str:
    with pytest.raises(CdredError) as caught:
        documents.read_json(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: ") and text.isprintable() and len(text) < len(str(file)) + 200
    return text.removeprefix(f"{file}: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON"),
        (b"\x00", "not valid JSON"),
        (b"\xff{}", "not UTF-8, at byte 0"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"null", "holds no table"),
        (b"[]", "holds no table"),
        (b'{"a": 1', "not valid JSON"),
        (b'{"a": 1} {}', "not valid JSON"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "a number that is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": {}, "a": {"b": 1}}', "a key stands twice"),
        (b'{"a": "\\u001b[2J"}', "a control character"),
        (b'{"\\u202e": 1}', "a control character"),
        (b'{"a": "\\ud800"}', "a control character"),
        (b'{"a": ' + b"[" * 21 + b"]" * 21 + b"}", "nested more than 20 deep"),
        (b'{"a": ' + b"[" * 10**6, "nested more than 20 deep"),
        (b'{"a":' * 10**5, "nested more than 20 deep"),
    ],
)
def test_what_is_no_plain_table_is_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert reason in refused(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nothing", "missing"),
        ("directory", "not a regular file"),
        ("fifo", "not a regular file"),
        ("device", "not a regular file"),
        ("sparse", "larger than 16 MB"),
        ("dangling", "missing"),
        ("loop", "cannot be read: Too many levels"),
        ("below a file", "cannot be read: Not a directory"),
    ],
)
def test_what_is_no_regular_file_is_one_line(kind: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    if kind == "directory":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "sparse":
        file.touch()
        os.truncate(file, 8 * 2**30)
    elif kind == "below a file":
        file.touch()
        file = file / "b.json"
    elif kind != "nothing":
        target = {"device": "/dev/zero", "dangling": "gone", "loop": "a.json"}[kind]
        file.symlink_to(target)
    assert reason in refused(file)


@pytest.mark.slow
def test_a_thousand_damaged_documents_are_one_line_or_a_table(tmp_path: Path) -> None:
    draw = random.Random(0)
    good = b'{"files": {"a/b.csv": "00"}, "seed": 0, "x": [1.5, null, true, "\\u00e9"]}'
    for _ in range(1000):
        content = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(content))
            content[at : at + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        (tmp_path / "a.json").write_bytes(content)
        try:
            assert isinstance(documents.read_json(tmp_path / "a.json"), dict)
        except CdredError as exc:
            assert str(exc).isprintable()
