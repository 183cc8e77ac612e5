"""Files that the configuration names: hashed, or refused in one line, never read without an end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cdred.errors import CdredError, printable
from cdred.plan import recordings
from cdred.plan.recordings import hashes

KEY = "demos.others.path"


def test_a_file_and_a_directory_are_hashed_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.pkl").write_bytes(b"x")
    (tmp_path / "b.pkl").symlink_to("data/a.pkl")
    inside = hashes(tmp_path, "data", KEY)["files"]["data"]
    assert inside == {"a.pkl": hashes(tmp_path, "b.pkl", KEY)["files"]["b.pkl"]}
    assert hashes(tmp_path, "D4RL/door/human-v2", KEY) == hashes(tmp_path, None, KEY) == {}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/dev/zero", "neither a file nor a directory"),
        ("fifo", "neither a file nor a directory"),
        ("/proc/self/mem", "of the kernel's file systems, not a recording"),
        ("/sys", "of the kernel's file systems, not a recording"),
        (".", "holds this checkout; name the folder of the recordings itself"),
        ("..", "holds this checkout; name the folder of the recordings itself"),
        ("/", "holds this checkout; name the folder of the recordings itself"),
        ("many", "more than 3 files; name the folder of the recordings itself"),
        ("x" * 300, "cannot be read: File name too long"),
        ("loop", "cannot be read: Symlink loop from "),
        ("a\0b", "cannot be read: embedded null byte"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    monkeypatch.setattr(recordings, "MOST_FILES", 3)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for k in range(4):
        (tmp_path / f"many/{k}").mkdir(parents=True)
        (tmp_path / f"many/{k}/file").touch()
    with pytest.raises(CdredError) as caught:
        hashes(tmp_path, name, KEY)
    assert str(caught.value).startswith(f"params.yaml: {KEY}: {printable(name[:80])}")
    assert problem in str(caught.value)
