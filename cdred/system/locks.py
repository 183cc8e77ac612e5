"""Locks that end with their process: one writer of an artifact, one engine in a checkout."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cdred import documents
from cdred.errors import CdredError

FOLDER = Path(".cdred/locks")
IN_USE = (
    "another Snakemake or `dvc repro` runs in this checkout; wait for it, or stop it and run this "
    "again"
)
LOOK = 1.0  # seconds: those who look whether a lock is held have it for a moment


class Holder(documents.Document):
    """The process that makes an artifact."""

    pid: int
    host: str
    since: str


@contextlib.contextmanager
def exclusive(root: Path, artifact: Path) -> Iterator[None]:
    """Let no other process make the same artifact meanwhile; a killed process lets go by itself.

    Raises CdredError naming the process that holds it.
    """
    from filelock import FileLock, Timeout

    file = _lock_file(root, artifact)
    file.parent.mkdir(parents=True, exist_ok=True)
    holder = file.with_suffix(".json")
    lock = FileLock(file, timeout=LOOK)
    try:
        lock.acquire()
    except Timeout:
        who = "another process"
        with contextlib.suppress(CdredError):
            owner = documents.read(holder, Holder)
            who = f"process {owner.pid} on {owner.host} (since {owner.since})"
        raise CdredError(
            f"{artifact}: {who} is making it; wait for it, or stop it and run this again"
        ) from None
    try:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        note = {"pid": os.getpid(), "host": os.uname().nodename, "since": now}
        documents.replace(holder, json.dumps(note).encode(), holder.with_suffix(".partial"))
        yield
    finally:
        lock.release()


def was_made(root: Path, artifact: Path) -> bool:
    """Tell whether a process of this tool has ever made the artifact here."""
    return _lock_file(root, artifact).is_file()


def is_held(root: Path, artifact: Path) -> bool:
    """Tell whether some process is making the artifact now."""
    from filelock import FileLock, Timeout

    file = _lock_file(root, artifact)
    if not file.exists():
        return False
    try:
        with FileLock(file, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # of another user: nothing is known of it
        return False


@contextlib.contextmanager
def hold_checkout(root: Path = Path(), wait: float = 0) -> Iterator[bool]:
    """Let no other engine run jobs in this checkout meanwhile; a killed process lets go by itself.
    Yields whether it is ours: not if another still has it after `wait` seconds.

    Snakemake's own lock stays when it is killed (profiles switch it off); without any, a second one
    would clean up after the jobs that it was refused.
    """
    file = root / FOLDER / "snakemake.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait
    with file.open("a") as handle:
        while not (held := _try_lock(handle)) and time.monotonic() < until:
            time.sleep(0.05)
        yield held


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_file(root: Path, artifact: Path) -> Path:
    """The lock of an artifact: in the checkout, or beside an artifact that lies outside of it by a
    link, where other checkouts may make the same."""
    place = (root / artifact).parent.resolve()
    if not place.is_relative_to(root.resolve()):
        return place / f".{artifact.name}.lock"
    return root / FOLDER / (artifact.as_posix().replace("/", "__") + ".lock")
