"""The description of an experiment that its report is written from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from cdred import methods
from cdred.config.schema import Config, Expert, Run
from cdred.learning.derived import acts_by
from cdred.plan.jobs import Job, Plan
from cdred.report.experiment import Artifact, Entry, Experiment


def describe(plan: Plan, jobs: Iterable[Job] | None = None) -> Experiment:
    """Describe the experiment of a plan, with the artifacts of `jobs` (default: all that its
    report reads)."""
    chosen, report = plan.config.experiment, plan.report
    known: dict[Path, Artifact] = {}
    return Experiment(
        name=chosen.name,
        tasks=tuple(chosen.tasks),
        seeds=tuple(chosen.seeds),
        entries=_entries(plan.config),
        artifacts=tuple(
            _artifact(plan, job, known) for job in (report.inputs if jobs is None else jobs)
        ),
        path=report.path.as_posix(),
        logs=report.log.parent.as_posix(),
    )


def _entries(config: Config) -> dict[str, Entry]:
    runs = {name: config.runs[name] for name in config.experiment.runs}
    experts = [config.demos[run.demos].expert for run in runs.values()]
    used = {name: config.experts[name] for name in dict.fromkeys(experts) if name is not None}
    first: dict[str, str] = {}
    for name, run in runs.items():
        first.setdefault(_but_for_their_number(config, run), name)
    return {name: _expert(name, entry) for name, entry in used.items()} | {
        name: _run(config, name, entry, first[_but_for_their_number(config, entry)])
        for name, entry in runs.items()
    }


def _but_for_their_number(config: Config, run: Run) -> str:
    """All that decides a run but the number of its demonstrations, to compare."""
    own = {key: value for key, value in run.params().items() if not key.startswith("demo")}
    demos = config.demos[run.demos].params()
    source = {key: value for key, value in demos.items() if key != "episodes"}
    return json.dumps([own, source], sort_keys=True, default=str)


def _expert(name: str, entry: Expert) -> Entry:
    s = entry.settings
    return Entry(
        name=name,
        method=methods.EXPERT,
        way=acts_by(methods.find(methods.EXPERT), s) if s else entry.source,
        steps=s.steps if s else 0,
        obs=entry.obs,
        trained=s is not None,
        keeps_best=s is not None and s.keep == "best",
    )


def _run(config: Config, name: str, entry: Run, alike: str) -> Entry:
    return Entry(
        name=name,
        method=entry.method,
        way=acts_by(entry.definition, entry.settings),
        steps=entry.settings.steps,
        obs=config.demos[entry.demos].obs,
        demos=entry.demos,
        demo_episodes=entry.demo_episodes or config.demos[entry.demos].episodes,
        alike=alike,
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
            command=job.command,
            inputs=inputs,
        )
    return known[job.path]
