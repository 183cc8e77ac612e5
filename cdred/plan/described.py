"""The description of experts and runs that a report is written from."""

from __future__ import annotations

import json

from cdred import methods
from cdred.config.schema import Config, Expert, Run
from cdred.learning.derived import acts_by
from cdred.learning.settings import Settings
from cdred.report.experiment import Entry


def entries(config: Config) -> dict[str, Entry]:
    """The experts in use, then the runs, by name: a part of the report's identity."""
    runs = {name: config.runs[name] for name in config.experiment.runs}
    experts = [config.demos[run.demos].expert for run in runs.values()]
    used = {name: config.experts[name] for name in dict.fromkeys(experts) if name is not None}
    first: dict[str, str] = {}
    for name, run in runs.items():
        first.setdefault(_but_for_demonstrations(run), name)
    return {name: _expert(name, entry) for name, entry in used.items()} | {
        name: _run(config, name, entry, first[_but_for_demonstrations(entry)])
        for name, entry in runs.items()
    }


def _but_for_demonstrations(run: Run) -> str:
    """All that decides a run but its demonstrations, to compare."""
    own = {key: value for key, value in run.params().items() if not key.startswith("demo")}
    return json.dumps(own, sort_keys=True, default=str)


def _expert(name: str, entry: Expert) -> Entry:
    s = entry.settings
    return Entry(
        name=name,
        method=methods.EXPERT,
        acts_by=_policy(methods.find(methods.EXPERT), s) if s else _GIVEN[entry.source],
        steps=s.steps if s else 0,
        obs=entry.obs,
        trained=s is not None,
        keeps_best=s is not None and s.keep == "best",
    )


def _run(config: Config, name: str, entry: Run, alike: str) -> Entry:
    return Entry(
        name=name,
        method=entry.method,
        acts_by=_policy(entry.definition, entry.settings),
        steps=entry.settings.steps,
        obs=config.demos[entry.demos].obs,
        demos=entry.demos,
        demo_episodes=entry.demo_episodes or config.demos[entry.demos].episodes,
        alike=alike,
    )


# How experts act that were not trained here.
_GIVEN = {"scripted": "script", "checkpoint": "as saved", "hub": "as saved"}


def _policy(method: methods.Method, settings: Settings) -> str:
    way = acts_by(method, settings)
    return "MPPI" if way == "plan" else way
