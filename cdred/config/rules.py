"""The rules that entries must keep together, beyond the bounds of their fields."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cdred.config.messages import Where
from cdred.config.parsing import short
from cdred.config.schema import (
    Config,
    Demos,
    Expert,
    ExpertDemos,
    HubDemos,
    HubExpert,
    Run,
    ScriptedExpert,
    TrainedExpert,
)
from cdred.config.tables import check_name
from cdred.envs.tasks import find, lookup, names
from cdred.learning.settings import Settings, Use

COMMIT = re.compile(r"[0-9a-f]{40}")
NAMESPACE = re.compile(r"(?=.{1,42}$)[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
MOST_AGENTS = 5_000  # of an experiment: the engines plan all of its jobs at each start


def check(c: Config, where: Where) -> None:
    """Check a configuration. Raises CdredError with the place of the first thing that is wrong."""
    for name, demos in c.demos.items():
        check_demos(name, demos, c, where)
    for task in c.expert.threshold:
        if lookup(task) is None:
            where.unknown(("expert", "threshold", task), "task", task, names())
    for name, run in c.runs.items():
        check_run(name, run, c, where)
    check_experiment(c, where)
    if c.hub.namespace is not None and not NAMESPACE.fullmatch(c.hub.namespace):
        where.fail(
            ("hub", "namespace"),
            f"{short(c.hub.namespace)!r}: not a user or organisation of the Hub: letters, digits "
            f"and '_', joined by single '-' or '.', 42 at most",
        )
    used = {c.demos[c.runs[run].demos].expert for run in c.experiment.runs}
    for name, expert in c.experts.items():
        check_expert(name, expert, c.experiment.tasks if name in used else [], where)
    for name, run in c.runs.items():
        tasks = c.experiment.tasks if name in c.experiment.runs else []
        check_settings(run.settings, ("runs", name), c.demos[run.demos].obs, tasks, where)


def check_experiment(c: Config, where: Where) -> None:
    """Check that every name in the experiment refers to something that exists, and stands there
    once."""
    e = c.experiment
    check_name(e.name, ("experiment", "name"), where)
    for k, task in enumerate(e.tasks):
        if lookup(task) is None:
            where.unknown(("experiment", "tasks", str(k)), "task", task, names())
    for k, name in enumerate(e.runs):
        if name not in c.runs:
            where.unknown(("experiment", "runs", str(k)), "run", name, list(c.runs))
    for key, items in (("tasks", e.tasks), ("runs", e.runs), ("seeds", e.seeds)):
        if not items:
            where.fail(("experiment", key), "empty; name at least one")
        seen: set[object] = set()
        for k, item in enumerate(items):
            if item in seen:
                where.fail(("experiment", key, str(k)), f"{short(item)} stands here twice")
            seen.add(item)
    agents = len(e.tasks) * len(e.runs) * len(e.seeds)
    if agents > MOST_AGENTS:
        where.fail(
            ("experiment",),
            f"{agents} agents (tasks x runs x seeds); split it into experiments of {MOST_AGENTS} "
            f"at most",
        )


def check_run(name: str, run: Run, c: Config, where: Where) -> None:
    """Check that a run's demonstrations are there, and as many of them as it asks for."""
    if name in c.experts:
        where.fail(("runs", name), "an expert has this name too; their results would collide")
    if run.demos not in c.demos:
        where.unknown(("runs", name, "demos"), "demos entry", run.demos, list(c.demos))
    available = c.demos[run.demos].episodes
    if run.demo_episodes is not None and run.demo_episodes > available:
        where.fail(
            ("runs", name, "demo_episodes"),
            f"{run.demo_episodes} episodes asked for, demos.{run.demos} has {available}",
        )
    if run.settings.keep == "best":
        reason = "the environment's reward must not choose an imitating agent"
        where.fail(("runs", name, "keep"), f"'best' is for experts: {reason}")


def check_demos(name: str, demos: Demos, c: Config, where: Where) -> None:
    """Check that demonstrations come from an expert here, a recording, or a commit."""
    path = ("demos", name)
    if isinstance(demos, HubDemos):
        check_commit(path, demos.revision, where)
    if isinstance(demos, ExpertDemos) and demos.expert not in c.experts:
        where.unknown((*path, "expert"), "expert", demos.expert, list(c.experts))


def check_commit(path: tuple[str, ...], revision: str, where: Where) -> None:
    """Refuse a revision that may move, as branches and tags do: a result depends on it."""
    if not COMMIT.fullmatch(revision):
        where.fail(
            (*path, "revision"),
            f"{short(revision)}: the 40 hexadecimal digits of a commit; `cdred pull` prints them",
        )


def check_expert(name: str, expert: Expert, tasks: list[str], where: Where) -> None:
    """Check that an expert can be had for each of its tasks."""
    path = ("experts", name)
    if isinstance(expert, TrainedExpert):
        check_settings(expert.settings, path, expert.obs, tasks, where)
    if isinstance(expert, HubExpert):
        check_commit(path, expert.revision, where)
    if isinstance(expert, ScriptedExpert):
        if expert.obs != "state":
            where.fail((*path, "obs"), "scripted policies look at state alone")
        for task in tasks:
            if not find(task).scripted:
                where.fail(
                    (*path, "source"),
                    f"{task} has no scripted policy; `cdred tasks` tells which do",
                )


def check_settings(
    settings: Settings, path: tuple[str, ...], obs: str, tasks: list[str], where: Where
) -> None:
    """Check that settings go together, with the observations and with each task's episodes."""
    specs = [find(task) for task in tasks]
    # Sizes that only the environment knows are not asked for while the engines plan.
    lengths = {spec.episode_length for spec in specs if spec.sized}
    longest_first: Sequence[int | None] = sorted(lengths, reverse=True) or [None]
    for length in longest_first:
        for problem in settings.problems(Use(obs, length)):
            where.fail((*path, problem.key), problem.message)
