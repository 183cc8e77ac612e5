"""DVC's view of the plan: dvc.yaml, one stage a job, and what enters its cache.

dvc.yaml is written from params.yaml because DVC's templates cannot say what the graph needs: that a
run reads the demonstrations its own entry names, that only experts in use are trained, and that the
report reads exactly the evaluations of this experiment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from cdred import manifest
from cdred.errors import CdredError
from cdred.plan import CODE, Plan

DVC_YAML = Path("dvc.yaml")
HEADER = """\
# Written from params.yaml by `cdred use` and `dvc repro`; do not edit.
"""


def stages(plan: Plan) -> dict[str, Any]:
    """dvc.yaml's content.

    DVC runs the first stage first, when params.yaml has changed: it validates it, and brings
    dvc.yaml in line. Every other stage validates for itself as well.
    """
    found: dict[str, Any] = {"check": {"cmd": "cdred check", "deps": ["params.yaml"]}}
    for job in plan.jobs:
        deps = [*CODE[job.stage], *(source.path.as_posix() for source in job.inputs)]
        deps += job.params.get("files", {})  # a checkpoint, or others' recordings, that lie here
        found[job.name] = {
            "cmd": job.command,
            "params": list(job.dvc_params),
            "deps": deps,
            "outs": [job.path.as_posix()],
        }
    return {"stages": found}


def render(plan: Plan) -> str:
    return HEADER + yaml.safe_dump(stages(plan), sort_keys=False, width=1000)


def write(plan: Plan) -> bool:
    """Bring dvc.yaml in line with the plan; True when it changed."""
    path, text = plan.root / DVC_YAML, render(plan)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    aside = path.with_suffix(f".yaml.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
    return True


def record(plan: Plan) -> int:
    """Enter what is there into DVC's cache and dvc.lock, after checking that it is what the plan
    wants: DVC would record a stale artifact as well and restore it later.

    Returns the number of artifacts recorded. Raises CdredError on a stale or damaged one.
    """
    for job in plan.jobs:
        found = manifest.verify(plan.root / job.path, job.command)
        if found["digest"] != job.digest:
            raise CdredError(
                f"{job.path} is stale: made from other parameters or code; "
                f"`snakemake --cores all` or `dvc repro` brings it up to date"
            )
    write(plan)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "commit", "--force", "--quiet"],
        cwd=plan.root, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        message = " ".join((done.stderr or done.stdout).split())
        raise CdredError(f"dvc commit failed: {message}")
    return len(plan.jobs)
