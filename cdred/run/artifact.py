"""An artifact's way into its place: made aside, completed by its manifest, put there at once."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import cdred
from cdred import manifest
from cdred.errors import CdredError
from cdred.plan import Job, Plan, code, ownership


def check_code(plan: Plan, job: Job) -> None:
    """Refuse to run other code than that which was hashed: the checkout's."""
    package = Path(cdred.__file__).resolve().parent
    if package == (plan.root / "cdred").resolve():
        return
    for name, expected in job.code.items():
        file = package.parent / name
        if not name.startswith("cdred/"):
            continue  # a module of the user's own, which is imported from the checkout
        if not file.is_file() or code.hash_file(file) != expected:
            raise CdredError(
                f"{package}: this installed code differs from the checkout's, whose hash names the "
                f"results: {name}; install the checkout (`make setup`)"
            )


def check_input(plan: Plan, source: Job) -> str:
    """The hash of the manifest of an input. Raises CdredError when it is missing, damaged or
    stale."""
    content = manifest.verify(plan.root / source.path, source.command)
    if content["digest"] != source.digest:
        raise CdredError(
            f"{source.path}: made from other parameters or code; `{source.command}` makes it again"
        )
    return manifest.hash_file(plan.root / source.path / manifest.NAME)


def is_intact(plan: Plan, job: Job) -> bool:
    """Tell whether the artifact is there, up to date, and every byte of it as its manifest says."""
    if not job.up_to_date(plan.root):
        return False
    try:
        manifest.verify(plan.root / job.path, job.command)
    except CdredError:
        return False
    return True


def make_aside(target: Path) -> Path:
    """A hidden directory beside the target: on its file system, and unseen by both engines.

    Clears away what a killed process left, which held the lock that we hold now.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside, old = _asides(target)
    if os.path.lexists(old) and not os.path.lexists(target):
        old.rename(target)  # killed between the two renames of `put_in_place`
    for left in (aside, old):
        try:
            discard(left)
        except OSError as exc:
            raise CdredError(
                f"{left}: left by an earlier run, cannot be removed: {exc.strerror}; remove it"
            ) from None
    aside.mkdir()
    return aside


def discard(path: Path) -> None:
    """Remove a directory, or a link in the place of one, if it is there. Raises OSError."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def check_loaded(plan: Plan, job: Job) -> None:
    """Refuse what was computed by code that the job's digest does not cover."""
    if unlisted := plan.code.unlisted(job.code):
        raise CdredError(
            f"{job.path}: not written: {unlisted[0]} was loaded to make it, but its digest does "
            f"not cover it; import it by a statement, or name it in cdred/plan/entries.py"
        )


def complete(job: Job, aside: Path, inputs: dict[str, str], circumstances: dict[str, Any]) -> None:
    """Write the manifest of what was made from `inputs`, by the hashes of their manifests when they
    were read; `circumstances`: on what machine."""
    fields = {
        "stage": job.stage, "task": job.task, "entry": job.entry, "seed": job.seed,
        "digest": job.digest, "params": job.params, "code": job.code,
        "inputs": inputs, "packages": manifest.packages(),
    }  # fmt: skip
    manifest.write(aside, fields | circumstances)


def put_in_place(root: Path, path: Path, aside: Path) -> None:
    """Rename the finished artifact to its place; the older one goes only then."""
    content = manifest.read(aside)
    assert content is not None
    ownership.note(root, path, content["files"])
    target = root / path
    if not target.exists():
        aside.rename(target)
        return
    _, old = _asides(target)
    target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        old.rename(target)
        raise
    with contextlib.suppress(OSError):  # the next run says so
        discard(old)


def _asides(target: Path) -> tuple[Path, Path]:
    return target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.old")
