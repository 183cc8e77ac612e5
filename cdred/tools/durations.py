"""The time that a job will take, from what jobs like it took in this checkout: for `cdred status`.

A job is like another of its stage if it is of the same entry, or trains by the same method, and
asks for the same work by all settings but amounts, by which its time is scaled. No torch, since
`cdred status` is to answer at once.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.plan import Job, Plan, log_path
from cdred.tools import cost

AMOUNTS = ("steps", "updates_per_step", "episodes")  # that time grows with
# Settings that make next to no work, beside all real numbers.
IDLE = {
    "seed", "seed_steps", "eval_every", "eval_episodes", "log_every", "keep", "expert", "demos",
    "demo_episodes", "only", "video", "name", "tasks", "runs", "seeds", "task",
}  # fmt: skip


class Durations:
    """The times of a plan's jobs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._last = functools.cache(self._read)

    def seconds(self, job: Job) -> float | None:
        """The time that a job will take from its beginning; None where nothing like it ran here."""
        own = self._median(job, [self.plan.root / job.log.with_name(cost.LOG)])
        return own if own is not None else self._median(job, self._others(job))

    def _median(self, job: Job, logs: Iterable[Path]) -> float | None:
        times = []
        for file in logs:
            if (last := self._last(file)) is None:
                continue
            digest, seconds, params = last
            if digest == job.digest:
                params = job.params
            if params is not None and _work(params) == _work(job.params):
                times.append(seconds * _amount(job.params) / _amount(params))
        return statistics.median(times) if times else None

    def _others(self, job: Job) -> Iterator[Path]:
        """The logs of other seeds and tasks, and of other runs by the same method."""
        entries, runs = [job.entry], self.plan.config.runs
        if job.stage == "imitate":
            method = runs[job.entry].method
            entries += [name for name, run in runs.items() if run.method == method]
        for entry in dict.fromkeys(entries):
            folder = log_path(job.stage, "*", entry, "*")
            yield from self.plan.root.glob((folder / cost.LOG).as_posix())

    def _read(self, file: Path) -> tuple[str, float, dict[str, Any] | None] | None:
        """The digest and the time of the job that ended last in a log, and its parameters if its
        artifact is still there."""
        events = cost.read_all(file)
        ended = [event["digest"] for event in events if event.get("event") == "end"]
        if not ended:
            return None
        seconds = cost.spent([event for event in events if event["digest"] == ended[-1]])["seconds"]
        folder = file.parent.relative_to(self.plan.root / "logs")
        top = self.plan.root if folder.parts[0] == "reports" else self.plan.root / "artifacts"
        made = manifest.read(top / folder)
        known = made is not None and made["digest"] == ended[-1]
        return ended[-1], seconds, made["params"] if made is not None and known else None


def _work(params: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide how much work a step is."""
    return {
        key: value
        for key, value in params.items()
        if key not in IDLE and key not in AMOUNTS and not isinstance(value, float)
    }


def _amount(params: dict[str, Any]) -> float:
    amount = 1.0
    for key in AMOUNTS:
        amount *= params.get(key) or 1
    return amount
