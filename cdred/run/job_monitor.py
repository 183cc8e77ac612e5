"""The reports of a running job: progress, its state to resume from, runtime, tracking, samples."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdred import documents, manifest
from cdred.errors import CdredError, reason
from cdred.learning.monitor import Monitor
from cdred.plan import Job, Plan
from cdred.run import artifact
from cdred.run.resume import ResumeState
from cdred.system import machine
from cdred.system.progress import Progress, logger
from cdred.system.sampler import Sampler
from cdred.tracking.spool import Tracker


class JobMonitor(Monitor):
    """The monitor of one job: `begin` before its work, `end` when its artifact is complete.

    `inputs`: the hashes of the manifests of what the job reads."""

    def __init__(self, plan: Plan, job: Job, inputs: dict[str, str]) -> None:
        self.plan, self.job, self.compute = plan, job, plan.config.compute
        self.state = ResumeState(plan.root, job, inputs)
        self.tracker = Tracker(plan, job)
        self.sampler = Sampler(self.tracker.sample if self.tracker.on else None)
        file = plan.root / job.log.with_name("runtime.jsonl")
        self.runtime = Runtime(file, job, self.sampler)
        self.root = plan.root
        self.devices: list[str] = []  # that took part, in order
        self.machines = [machine.name()]
        self.bar: Progress | None = None
        self.total = 0
        self._saved_at = time.monotonic()

    def begin(self, label: str, total: int, unit: str, device: str) -> None:
        self.label, self.total, self.unit, self.devices = label, total, unit, [device]
        self.runtime.write("start", device=device, threads=self.compute.threads)
        self.tracker.start(device)
        self.sampler.start()

    def saved(self) -> dict[str, Any] | None:
        saved = self.state.load()
        if saved is None:
            return None
        values, origin = saved
        self.devices = _joined(origin["devices"], self.devices)
        self.machines = _joined(origin["machines"], self.machines)
        logger.info(f"{self.label}: going on from the state of {origin['time']}")
        return values

    def save_state(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        if not final and time.monotonic() - self._saved_at < self.compute.save_every:
            return
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        self.state.save(state(), {"time": now, "devices": self.devices, "machines": self.machines})
        self._saved_at = time.monotonic()

    def progress(self, done: int, highlights: dict[str, float]) -> None:
        if self.bar is None:
            artifact.check_loaded(self.plan, self.job)  # not after hours
            self.bar = Progress(self.label, self.total, self.unit, done - 1)
        self.bar(done, highlights)

    def notice(self, text: str) -> None:
        logger.warning(text)

    def row(self, table: str, row: dict[str, Any]) -> None:
        self.tracker.row(table, row)
        if table == "metrics":
            interval = self.runtime.interval(row["step"], row["update"])
            tracked = (
                "step", "update", "updates_per_second", "peak_memory_mb", "peak_gpu_memory_mb",
            )  # fmt: skip
            self.tracker.row("runtime", {k: v for k, v in interval.items() if k in tracked})

    def end(self) -> None:
        """The artifact is in place: the state is not needed any more."""
        self.close()
        self.state.remove()
        seconds = self.runtime.write("end", steps=self.total)["seconds"]
        made = manifest.hash_file(self.root / self.job.path / manifest.NAME)
        self.tracker.end("FINISHED", **{"cdred.manifest": made})
        logger.info(f"{self.job.path}: done in {seconds:.0f} s")

    def failed(self, exc: BaseException) -> None:
        self.close()
        status = "KILLED" if isinstance(exc, KeyboardInterrupt) else "FAILED"
        self.tracker.end(status, **{"cdred.error": f"{type(exc).__name__}: {reason(exc)}"})

    def close(self) -> None:
        self.sampler.stop()
        if self.bar is not None:
            self.bar.close()


def _joined(before: list[str], now: list[str]) -> list[str]:
    return before if before[-1] == now[0] else [*before, *now]


class Runtime:
    """`runtime.jsonl` beside the log: what depends on the machine and stays out of artifacts.

    Every attempt at a job writes a `start`; `interval` rows with updates per second and memory, or,
    of an evaluation, `acting`, the time of an action; and an `end` when the artifact is in place.
    `energy_joules` of the machine since the attempt began, where it is counted.
    """

    def __init__(self, file: Path, job: Job, sampler: Sampler) -> None:
        self.file, self.job, self.sampler = file, job, sampler
        self.started = self.last = time.monotonic()
        self.attempt = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.updates: float | None = None

    def write(self, event: str, **values: Any) -> dict[str, Any]:
        now = time.time()
        row = {
            "event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "digest": self.job.digest, "host": os.uname().nodename, "pid": os.getpid(),
            "attempt": self.attempt,
            "seconds": round(time.monotonic() - self.started, 3), **values, **memory(),
        }  # fmt: skip
        if self.sampler.joules is not None:
            row["energy_joules"] = self.sampler.joules
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with documents.open_to_append(self.file) as out:
                out.write(json.dumps(row).encode() + b"\n")
        except OSError as exc:  # a log must not cost the work it tells of
            logger.warning(f"{self.file}: cannot be written: {exc.strerror}")
        except CdredError as exc:
            logger.warning(str(exc))
        return row

    def interval(self, step: float, update: float) -> dict[str, Any]:
        now = time.monotonic()
        rate = None
        if self.updates is not None and now > self.last:
            rate = round((update - self.updates) / (now - self.last), 3)
        self.last, self.updates = now, update
        return self.write("interval", step=step, update=update, updates_per_second=rate)


def memory() -> dict[str, int]:
    """Peak memory of this process so far in MB; of the GPU as well if one is in use."""
    peaks = {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    torch = sys.modules.get("torch")  # not every stage needs it
    if torch is not None and torch.cuda.is_initialized():
        peaks["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() // 2**20
    return peaks
