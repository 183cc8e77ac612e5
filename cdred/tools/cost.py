"""`cdred cost`: time, memory and energy of the experiment on the machines that ran it, from
`runtime.jsonl`."""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cdred import documents
from cdred.documents import Document
from cdred.errors import CdredError
from cdred.plan import Job, Plan
from cdred.tools.text_table import aligned

HEAD = ("artifact", "time", "attempts", "updates/s", "memory", "energy", "device", "host")
LOG = "runtime.jsonl"  # beside the log of a job
ENERGY = HEAD.index("energy")
LARGEST, LINES = 2**28, 2**20  # bytes of a log; its last lines that are read
Amount = Annotated[float, Field(ge=0, le=1e15)]
Megabytes = Annotated[int, Field(ge=0, le=10**15)]


def rows(plan: Plan) -> list[tuple[str, ...]]:
    """A row per job of the experiment that ran here, and their sum."""
    table: list[tuple[str, ...]] = []
    total = energy = 0.0
    for job in plan.jobs:
        events = read(plan.root, job)
        if not events:
            table.append((job.path.as_posix(), "not run here as it is now", *[""] * 6))
            continue
        took = spent(events)
        rate, gpu, joules = (
            took[name] for name in ("updates_per_second", "peak_gpu_memory_mb", "energy_joules")
        )
        total, energy = total + took["seconds"], energy + (joules or 0.0)
        table.append(
            (
                job.path.as_posix(), clock(took["seconds"]), str(took["attempts"]),
                f"{rate:.1f}" if rate else "",
                f"{took['peak_memory_mb']} MB" + (f" + {gpu} MB GPU" if gpu else ""),
                kilojoules(joules), took["device"] or "", events[-1]["host"],
            )
        )  # fmt: skip
    table.append(("all, one after another", clock(total), "", "", "", kilojoules(energy), "", ""))
    return table


class Event(Document):
    """A line of a runtime log."""

    digest: str
    event: str = ""
    time: str = ""
    step: Amount | None = None
    host: str
    pid: int
    attempt: str
    seconds: Amount
    peak_memory_mb: Megabytes
    device: str = ""
    updates_per_second: Amount | None = None
    peak_gpu_memory_mb: Megabytes | None = None
    energy_joules: Amount | None = None
    ms_per_action: Amount | None = None


def read(root: Path, job: Job) -> list[dict[str, Any]]:
    """The runtime log of exactly this job: same parameters, code and inputs."""
    events = read_all(root / job.log.with_name(LOG))
    return [event for event in events if event["digest"] == job.digest]


def read_all(file: Path) -> list[dict[str, Any]]:
    """A runtime log. What is damaged in it is left out, as a log must not cost what is made beside
    it."""
    events = []
    try:
        lines = filter(None, documents.read_bytes(file, LARGEST).splitlines()[-LINES:])
    except CdredError:
        return []
    for line in lines:
        with contextlib.suppress(CdredError):  # one may be cut short by a kill
            text = line.decode("utf-8", "replace")
            event = documents.check(Event, documents.parse(text, str(file)), str(file))
            events.append(event.model_dump(exclude_unset=True))
    return events


def spent(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The totals of a job's events over all attempts; None for what they do not record."""
    # Both count from an attempt's start, and one that was killed has no `end`: its last row tells.
    seconds: dict[tuple[Any, ...], float] = {}
    joules: dict[tuple[Any, ...], float] = {}
    for event in events:
        attempt = (event["host"], event["pid"], event["attempt"])
        seconds[attempt] = max(seconds.get(attempt, 0.0), event["seconds"])
        if event.get("energy_joules") is not None:
            joules[attempt] = max(joules.get(attempt, 0.0), event["energy_joules"])
    rates = [e["updates_per_second"] for e in events if e.get("updates_per_second")]
    gpu = [e["peak_gpu_memory_mb"] for e in events if "peak_gpu_memory_mb" in e]
    devices = dict.fromkeys(e["device"] for e in events if "device" in e)
    return {
        "seconds": round(sum(seconds.values()), 3),
        "attempts": len(seconds),
        "updates_per_second": statistics.median(rates) if rates else None,
        "peak_memory_mb": max(e["peak_memory_mb"] for e in events),
        "peak_gpu_memory_mb": max(gpu, default=None),
        "energy_joules": sum(joules.values()) if joules else None,
        "device": ", then ".join(devices) or None,
    }


def clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def kilojoules(joules: float | None) -> str:
    return f"{joules / 1000:.1f} kJ" if joules else ""


def table(plan: Plan) -> str:
    """The rows as text, with a column of energy if any was counted: that of the whole machine."""
    lines = [HEAD, *rows(plan)]
    if not any(line[ENERGY] for line in lines[1:]):
        lines = [line[:ENERGY] + line[ENERGY + 1 :] for line in lines]
    return "\n".join(aligned(lines))
