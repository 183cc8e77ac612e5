"""Snakemake's view of the plan: the plan decides what is to run, Snakemake runs it.

A job's output is a marker, `.cdred/made/ARTIFACT/DIGEST`. Its name holds the job's digest, so a job
is needed exactly when that name is missing. The artifact itself is no rule's declared output, so
Snakemake never deletes it. Before any rule, the main process makes the markers agree with the
manifests. Imports no numpy and no torch: cluster nodes parse the Snakefile.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from cdred.errors import CdredError
from cdred.plan import Job, Plan, ownership
from cdred.plan.paths import TOPS, log_path, output_path
from cdred.system.locks import hold_checkout

FOLDER = Path(".cdred/made")
LENGTH = 16  # of a digest in names
OLD = 1  # the time of each marker: Snakemake compares none of them


def find_commands_of(python: str, root: Path = Path()) -> None:
    """Let jobs find `cdred` whether or not its environment is activated: beside this Python, or in
    .venv, where Snakemake has an environment of its own (on clusters)."""
    places = [Path(python).parent, (root / ".venv/bin").absolute()]
    folder = next((place for place in places if (place / "cdred").exists()), places[0])
    os.environ["PATH"] = str(folder) + os.pathsep + os.environ.get("PATH", "")


def marker_pattern(stage: str) -> str:
    """A stage's markers, with wildcards."""
    return str(FOLDER / output_path(stage, "{task}", "{entry}", "{seed}") / "{digest}")


def log_pattern(stage: str, name: str) -> str:
    """A file among a stage's logs, with wildcards. Snakemake demands those of the output."""
    return str(log_path(stage, "{task}", "{entry}", "{seed}") / name)


class View:
    """The plan as the Snakefile uses it: decided once, while the Snakefile is read."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stale = plan.stale()

    def prepare(self) -> None:
        """Before any rule, in the main process alone: nothing of others' stands where a stage would
        write, and the markers agree with the manifests.

        While another Snakemake runs jobs here the markers are its own. Raises CdredError.
        """
        root = self.plan.root
        ownership.note_present(root, [job.path for job in self.plan.jobs])
        for path in self.stale:
            ownership.check_target(root, path)
        with hold_checkout(root) as held:
            if held:
                for job in self.plan.jobs:
                    self._set_marker(job)

    def marker(self, job: Job) -> str:
        return str(FOLDER / job.path / job.digest[:LENGTH])

    def markers(self) -> list[str]:
        """Every job's: Snakemake does not ask for a missing intermediate when the last is there."""
        return [self.marker(job) for job in self.plan.jobs]

    def job(self, stage: str, wildcards: dict[str, str]) -> Job:
        """The job of a rule's wildcards. Raises CdredError when the plan has no such."""
        task, entry = wildcards.get("task", ""), wildcards["entry"]
        job = self.plan.job(stage, task, entry, wildcards.get("seed", 0))
        if wildcards["digest"] != job.digest[:LENGTH]:
            raise CdredError(f"{job.path}: parameters or code changed meanwhile; run this again")
        return job

    def priority(self, wildcards: dict[str, str]) -> int:
        """The steps of a training that interacts, which takes longest; 0 of another."""
        run = self.plan.config.runs[wildcards["entry"]]
        return run.settings.steps if run.definition.interacts else 0

    def inputs(self, job: Job) -> list[tuple[str, bool]]:
        """The markers that a job waits for, and whether their times count.

        A stale input makes the job run; a fresh one is only there. A fresh job waits for nothing:
        an input that is gone is made again without it, and where it comes out otherwise, the job is
        stale then.
        """
        fresh = job.path not in self.stale
        return [
            (self.marker(source), source.path in self.stale)
            for source in job.inputs
            if not (fresh and source.path in self.stale)
        ]

    def of_artifact(self, path: str) -> tuple[str, bool]:
        """The marker that stands for an artifact, and whether its time counts."""
        job = self.plan.at(Path(path))
        return self.marker(job), job.path in self.stale

    def _set_marker(self, job: Job) -> None:
        """Make a job's marker exist if its artifact is up to date, and no other beside it."""
        marker = self.plan.root / self.marker(job)
        fresh = job.path not in self.stale
        with contextlib.suppress(FileNotFoundError):
            for file in list(marker.parent.iterdir()):
                if not fresh or file != marker:
                    file.unlink()
        if fresh and not (marker.exists() and marker.stat().st_mtime == OLD):
            # A new file each time: only its owner may set the times of one that is there.
            marker.parent.mkdir(parents=True, exist_ok=True)
            aside = marker.with_name(f".{os.uname().nodename}.{os.getpid()}")
            aside.touch()
            os.utime(aside, (OLD, OLD))
            aside.replace(marker)


def artifact_pattern() -> str:
    """A target on the command line: an artifact by its manifest."""
    return f"{{artifact,({'|'.join(TOPS)})/.+}}/manifest.json"


def unfinished(root: Path = Path()) -> str | None:
    """The first artifact that a run left stale: params.yaml or code changed under it, or an input
    that was gone came out otherwise."""
    stale = sorted(Plan.load(root).stale())
    if not stale:
        return None
    why = "parameters, code or an input changed meanwhile"
    return f"{stale[0]}: not up to date: {why}; run this again"


def refuse(message: object) -> None:
    """End the process with one line."""
    print(f"cdred: {message}", file=sys.stderr)
    sys.exit(2)
