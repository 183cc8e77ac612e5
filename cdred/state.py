"""What a killed job goes on from, `.cdred/state/{digest}/`, and the lock that keeps it alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cdred.errors import CdredError
from cdred.plan import Job

FOLDER = Path(".cdred/state")
LOCKS = Path(".cdred/locks")


class State:
    """The resume state of one job. It stands outside of the artifact, which both engines delete
    before they run a job again, and is named by the digest, so that only the same job finds it."""

    def __init__(self, root: Path, job: Job) -> None:
        self.job, self.directory = job, root / FOLDER / job.digest
        self.file = self.directory / "state.pt"

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What was saved last, and where it was computed; None if there is nothing.

        Raises CdredError, and leaves the file, when it is of another job or damaged.
        """
        import torch

        if not self.file.exists():
            return None
        try:  # weights_only: tensors and plain values, nothing is executed
            found = torch.load(self.file, map_location="cpu", weights_only=True)
            digest, values, origin = found["digest"], found["values"], found["origin"]
        except Exception as exc:
            reason = " ".join(str(exc).split())[:100]
            raise CdredError(
                f"{self.file}: the saved state cannot be read ({reason}); remove it to start over"
            ) from None
        if digest != self.job.digest:
            raise CdredError(
                f"{self.file}: the state of another job (digest {digest[:12]}, not "
                f"{self.job.digest[:12]}); move it away to start over"
            )
        return values, origin

    def save(self, values: dict[str, Any], origin: dict[str, Any]) -> None:
        """Replace the last state, at once or not at all: it stays when the disk is full."""
        import torch

        self.directory.mkdir(parents=True, exist_ok=True)
        note = self.directory / "job.json"  # for `cdred clean`, which loads no torch
        if not note.exists() or not note.stat().st_size:
            note.write_text(json.dumps({"artifact": self.job.path.as_posix()}) + "\n")
        buffer = io.BytesIO()  # torch hides the reason when a file cannot be written
        torch.save({"digest": self.job.digest, "values": values, "origin": origin}, buffer)
        aside = self.file.with_suffix(".partial")
        try:
            with aside.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.file)
        except OSError as exc:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise OSError(exc.errno, exc.strerror, str(self.file)) from None

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def alone(root: Path, job: Job) -> Iterator[None]:
    """Let no other process make the same artifact meanwhile; a killed process lets go by itself.

    Raises CdredError naming the process that holds it.
    """
    from filelock import FileLock, Timeout

    file = _lock_file(root, job.path.as_posix())
    file.parent.mkdir(parents=True, exist_ok=True)
    holder = file.with_suffix(".json")
    lock = FileLock(file, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        who = "another process"
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(holder.read_text())
            who = f"process {found['pid']} on {found['host']} (since {found['since']})"
        raise CdredError(
            f"{job.path}: {who} is making it; wait for it, or stop it and run this again"
        ) from None
    try:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        note = {"pid": os.getpid(), "host": os.uname().nodename, "since": now}
        holder.write_text(json.dumps(note))
        yield
    finally:
        lock.release()


def is_held(root: Path, artifact: str) -> bool:
    """Whether some process is making the artifact now."""
    from filelock import FileLock, Timeout

    file = _lock_file(root, artifact)
    if not file.exists():
        return False
    try:
        with FileLock(file, blocking=False):
            return False
    except Timeout:
        return True


def _lock_file(root: Path, artifact: str) -> Path:
    return root / LOCKS / (artifact.replace("/", "__") + ".lock")
