"""`cdred cost`: what the experiment took on the machines that ran it, from `runtime.jsonl`."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from cdred.plan import Job, Plan

HEAD = ("artifact", "time", "attempts", "updates/s", "memory", "energy", "device", "host")
ENERGY = HEAD.index("energy")


def rows(plan: Plan) -> list[tuple[str, ...]]:
    """A row per job of the experiment that ran here, and their sum."""
    found: list[tuple[str, ...]] = []
    total = energy = 0.0
    for job in plan.jobs:
        events = _events(plan.root, job)
        if not events:
            found.append((job.path.as_posix(), "not run here as it is now", *[""] * 6))
            continue
        # An attempt that was killed has no `end`: its last row tells how long it lasted.
        attempts: dict[tuple[Any, ...], float] = {}
        used: dict[tuple[Any, ...], float] = {}
        for event in events:
            key = (event["host"], event["pid"], event["attempt"])
            attempts[key] = max(attempts.get(key, 0.0), event["seconds"])
            used[key] = max(used.get(key, 0.0), event.get("energy_joules") or 0.0)
        seconds, joules = sum(attempts.values()), sum(used.values())
        total, energy = total + seconds, energy + joules
        rates = [e["updates_per_second"] for e in events if e.get("updates_per_second")]
        gpu = max((e.get("peak_gpu_memory_mb", 0) for e in events), default=0)
        memory = f"{max(e['peak_memory_mb'] for e in events)} MB"
        found.append(
            (
                job.path.as_posix(), clock(seconds), str(len(attempts)),
                f"{statistics.median(rates):.1f}" if rates else "",
                memory + (f" + {gpu} MB GPU" if gpu else ""), kilojoules(joules),
                next((e["device"] for e in reversed(events) if "device" in e), ""),
                events[-1]["host"],
            )
        )  # fmt: skip
    found.append(("all, one after another", clock(total), "", "", "", kilojoules(energy), "", ""))
    return found


def _events(root: Path, job: Job) -> list[dict[str, Any]]:
    """The runtime log of exactly this job: same parameters, code and inputs."""
    try:
        text = (root / job.log.with_name("runtime.jsonl")).read_text(encoding="utf-8")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut short by a kill
        if event["digest"] == job.digest:
            found.append(event)
    return found


def clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def kilojoules(joules: float) -> str:
    return f"{joules / 1000:.1f} kJ" if joules else ""


def table(plan: Plan) -> str:
    """With a column of energy if any was counted: the whole machine's while the job ran."""
    lines = [HEAD, *rows(plan)]
    if not any(line[ENERGY] for line in lines[1:]):
        lines = [line[:ENERGY] + line[ENERGY + 1 :] for line in lines]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
