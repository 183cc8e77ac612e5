"""`cdred clean`: remove what killed runs and dropped experiments left behind."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from cdred import manifest
from cdred.plan import Plan, overlays
from cdred.run.resume import FOLDER
from cdred.system.locks import is_held
from cdred.tracking.delivery import is_alive, waiting
from cdred.tracking.spool import SPOOL


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
    """Leftovers that nothing needs any more, and states from which killed jobs still go on."""
    jobs = {job.digest: job for plan in plans(root) for job in plan.jobs}
    remove, keep = [], []
    for directory in sorted((root / FOLDER).glob("*")):
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
    for top in ("artifacts", "reports"):
        for directory in sorted((root / top).glob("**/.*")):
            target = directory.with_name(directory.name[1:].removesuffix(directory.suffix))
            if directory.suffix not in (".partial", ".old") or not directory.is_dir():
                continue
            if is_held(root, target.relative_to(root)):
                continue
            if directory.suffix == ".old" and not target.exists():
                continue  # the only copy: the next run puts it back
            remove.append(
                Left(directory, f"unfinished {target.relative_to(root)}", size(directory))
            )
    undelivered = set(waiting(root))
    for file in sorted((root / SPOOL).glob("*.jsonl")):
        if file in undelivered or is_alive(file):
            continue
        if not any(d.startswith(file.name.split("-")[1]) for d in jobs):
            remove.append(
                Left(file, "a run that MLflow has and that was never finished", size(file))
            )
    return remove, keep


def clean(left: list[Left]) -> None:
    for item in left:
        if item.path.is_dir():
            shutil.rmtree(item.path)
        else:
            item.path.unlink()
            item.path.with_suffix(".sent").unlink(missing_ok=True)


def size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _artifact_of(directory: Path) -> str | None:
    try:
        return str(json.loads((directory / "job.json").read_text())["artifact"])
    except (OSError, ValueError, KeyError):
        return None


def human(count: int) -> str:
    """1234567 -> 1.2 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
