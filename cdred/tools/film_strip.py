"""`cdred strip`: the films of an experiment's agents side by side, as one animated picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cdred.errors import CdredError, nearest
from cdred.learning import results
from cdred.learning.display import display_of
from cdred.plan import Job, Plan

SIZE, CAPTION = 200, 34  # pixels: of a film, and of the text above it
DEFAULT = ("expert", "cdred", "gail", "red", "bc")  # that are shown, of those the experiment has


def write(plan: Plan, out: Path, entries: list[str]) -> list[str]:
    """Draw the films of one task's expert and runs, each of its first seed, into an
    animated .webp. Returns a line about each. Raises CdredError when one is missing or stale."""
    task = plan.config.experiment.tasks[0]
    known = list(dict.fromkeys(job.entry for job in plan.of("evaluate") if job.task == task))
    for entry in entries:
        if entry not in known:
            raise CdredError(f"{task}: no evaluation of {entry!r} here; {nearest(entry, known)}")
    strips, lines = [], []
    for job in _jobs(plan, task, entries or [*DEFAULT]):
        folder = plan.root / job.path
        if not job.up_to_date(plan.root) or not (folder / results.VIDEO).is_file():
            raise CdredError(
                f"{job.path}: no film that is up to date; `snakemake --cores all` or `dvc repro` "
                f"makes it, with evaluation.video above 0"
            )
        result = results.read(folder)
        label = _label(plan, job.entry)
        value = f"{result.returns[result.filmed]:.0f}"
        strips.append(_captioned(iio.imread(folder / results.VIDEO), label, value))
        lines.append(f"{label}: {value}, {job.path}/{results.VIDEO}")
    if not strips:
        raise CdredError(f"{task}: no run of {', '.join(entries or DEFAULT)} is in this experiment")
    length = max(map(len, strips))
    held = [np.concatenate([s, np.repeat(s[-1:], length - len(s), 0)]) for s in strips]
    frames = [Image.fromarray(frame) for frame in np.concatenate(held, 2)]
    fps = iio.immeta(plan.root / _jobs(plan, task, entries or [*DEFAULT])[0].path / results.VIDEO)
    frames[0].save(
        out, save_all=True, append_images=frames[1:], loop=0, quality=60, method=6,
        duration=round(1e3 / fps["fps"]),
    )  # fmt: skip
    return lines


def _jobs(plan: Plan, task: str, entries: list[str]) -> list[Job]:
    """The first evaluation of each entry, in their order."""
    first: dict[str, Job] = {}
    for job in plan.of("evaluate"):
        if job.task == task and job.entry in entries:
            first.setdefault(job.entry, job)
    return [first[name] for name in entries if name in first]


def _label(plan: Plan, entry: str) -> str:
    """The name of an entry; a run that is called after its method has the method's label."""
    run = plan.config.runs.get(entry)
    return display_of(run.definition).label if run and run.method == entry else entry


def _captioned(film: Any, label: str, value: str) -> Any:
    """Frames (T, SIZE + CAPTION, SIZE, 3) of a film (T, H, W, 3), with a name and a return."""
    head = Image.new("RGB", (SIZE, CAPTION), "white")
    font = ImageFont.load_default(15)
    drawing = ImageDraw.Draw(head)
    drawing.text((6, 8), label, "black", font)
    drawing.text((SIZE - 6, 8), value, "black", font, anchor="ra")
    top = np.asarray(head)
    return np.stack(
        [np.concatenate([top, np.asarray(Image.fromarray(f).resize((SIZE, SIZE)))]) for f in film]
    )
