"""The description of an experiment that its report is written from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cdred.plan.described import entries
from cdred.plan.jobs import Job, Plan
from cdred.report.experiment import Artifact, Experiment


def describe(plan: Plan, jobs: Iterable[Job] | None = None) -> Experiment:
    """Describe the experiment of a plan, with the artifacts of `jobs` (default: all that its
    report reads)."""
    chosen, report = plan.config.experiment, plan.report
    known: dict[Path, Artifact] = {}
    return Experiment(
        name=chosen.name,
        tasks=tuple(chosen.tasks),
        seeds=tuple(chosen.seeds),
        entries=entries(plan.config),
        artifacts=tuple(
            _artifact(plan, job, known) for job in (report.inputs if jobs is None else jobs)
        ),
        path=report.path.as_posix(),
        logs=report.log.parent.as_posix(),
    )


def _artifact(plan: Plan, job: Job, known: dict[Path, Artifact]) -> Artifact:
    """The artifact of a job, the same object for whatever was made from it."""
    if job.path not in known:
        inputs = tuple(_artifact(plan, source, known) for source in job.inputs)
        known[job.path] = Artifact(
            stage=job.stage,
            task=job.task,
            entry=job.entry,
            seed=job.seed,
            path=job.path.as_posix(),
            folder=plan.root / job.path,
            digest=job.digest,
            command=job.command.split(" --log ")[0],
            inputs=inputs,
        )
    return known[job.path]
