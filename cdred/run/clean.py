"""`cdred clean`: remove what killed runs and dropped experiments left behind."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cdred import documents, manifest
from cdred.errors import CdredError
from cdred.plan import Plan, overlays
from cdred.plan.paths import TOPS
from cdred.run.resume import FOLDER
from cdred.system.locks import is_held, was_made
from cdred.tracking.delivery import is_alive, waiting
from cdred.tracking.spool import spools

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Left:
    path: Path
    why: str
    size: int


def plans(root: Path) -> list[Plan]:
    """The current experiment and all of config/: what may still be run.

    Raises CdredError for an overlay that is not valid: what it needs could not be known.
    """
    runnable = [Plan.load(root)]
    for overlay in sorted((root / "config").rglob("*.yaml")):
        if overlay != root / overlays.BASE and not manifest.is_hidden(overlay.name):
            runnable.append(Plan(overlays.resolve(overlay, root)[1], root))
    return runnable


def leftovers(root: Path) -> tuple[list[Left], list[Left]]:
    """Leftovers that nothing needs any more, and states from which killed jobs still go on: of what
    is named as this tool names it, and lies where it puts it, and is no link."""
    jobs = {job.digest: job for plan in plans(root) for job in plan.jobs}
    remove, keep = [], []
    for directory in sorted((root / FOLDER).glob("*")):
        if not _DIGEST.fullmatch(directory.name) or not _is_folder(directory):
            continue
        job = jobs.get(directory.name)
        artifact = _artifact_of(directory)
        if artifact and is_held(root, Path(artifact)):
            keep.append(Left(directory, f"{artifact} is being made", size(directory)))
        elif job is None:
            why = f"state of {artifact or 'a job'}, which no experiment here asks for"
            remove.append(Left(directory, why, size(directory)))
        elif job.up_to_date(root):
            remove.append(Left(directory, f"state of {job.path}, which is done", size(directory)))
        else:
            keep.append(Left(directory, f"{job.path} goes on from it", size(directory)))
    places = {job.path for job in jobs.values()}
    for top in TOPS:
        for directory in sorted((root / top).glob("**/.*")):
            name = directory.name[1:].removesuffix(directory.suffix)
            if directory.suffix not in (".partial", ".old") or not name.strip("."):
                continue
            target = directory.with_name(name)
            place = target.relative_to(root)
            if place not in places and not was_made(root, place):
                continue  # somebody's own
            if not _is_folder(directory) or is_held(root, place):
                continue
            if directory.suffix == ".old" and not target.exists():
                continue  # the only copy: the next run puts it back
            remove.append(Left(directory, f"unfinished {place}", size(directory)))
    undelivered = set(waiting(root))
    for file in spools(root):
        if file in undelivered or is_alive(file):
            continue
        if not any(d.startswith(file.name.split("-")[1]) for d in jobs):
            remove.append(
                Left(file, "a run that MLflow has and that was never finished", size(file))
            )
    return remove, keep


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def clean(left: list[Left]) -> None:
    """Remove all that can be. Raises CdredError naming the first that cannot, of another user's."""
    kept = []
    for item in left:
        try:
            if item.path.is_dir() and not item.path.is_symlink():
                shutil.rmtree(item.path)
            else:
                item.path.unlink()
                item.path.with_suffix(".sent").unlink(missing_ok=True)
        except OSError as exc:
            kept.append(f"{item.path}: cannot be removed: {exc.strerror}")
    if kept:
        raise CdredError(kept[0] + (f"; nor can {len(kept) - 1} more" if kept[1:] else ""))


def size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


class _Note(documents.Document):
    """The content of job.json."""

    artifact: documents.Name


def _artifact_of(directory: Path) -> str | None:
    try:
        return documents.read(directory / "job.json", _Note).artifact
    except CdredError:
        return None


def human(count: int) -> str:
    """1234567 -> 1.2 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
