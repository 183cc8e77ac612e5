"""The circumstances of an experiment, for those who read of it: commit, machine, time."""

from __future__ import annotations

import subprocess

from cdred import manifest
from cdred.plan import Plan
from cdred.tools import cost


def commit(plan: Plan) -> str:
    """The last one that changed what training depends on; `-dirty` with changes after it. Empty
    where git does not know."""
    code = sorted({file for job in plan.of("imitate") for file in job.code})

    def git(*arguments: str) -> str:
        command = ["git", *arguments, "--", *code]
        done = subprocess.run(command, cwd=plan.root, capture_output=True, text=True)
        return done.stdout.strip()

    return git("log", "-1", "--format=%H") + ("-dirty" if git("status", "--porcelain") else "")


def facts(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The facts that are known here, by name: date of its end, commit, machines, time taken."""
    logged = [events for job in plan.jobs if (events := cost.read(plan.root, job))]
    ended = max((event.get("time", "") for events in logged for event in events), default="")
    seconds = sum(cost.spent(events)["seconds"] for events in logged)
    manifests = [manifest.read(plan.root / job.path) for job in plan.of("imitate")]
    machines = sorted({f"{m['machine']} ({m['device']})" for m in manifests if m})
    sha, *changed = commit(plan).split("-")
    known = {
        "made": ended[:16].replace("T", " "),
        "code of training, last changed": "-".join([sha[:12], *changed]),
        "machine": ", ".join(machines),
        "time taken": f"{cost.clock(seconds)}, one after another" if seconds else "",
    }
    return tuple((name, value) for name, value in known.items() if value)
