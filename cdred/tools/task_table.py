"""`cdred tasks`: the table of tasks, and what cannot run on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cdred import suites
from cdred.report.published import expert_score

HEAD = ("task", "obs", "action", "steps", "TD-MPC2", "script")
LEGEND = (
    "obs: numbers in a `state` observation; `rgb` is 9 x 64 x 64 everywhere. steps: an "
    "episode's,\neach with the action applied twice. TD-MPC2: its published score. script: "
    "whether it has a\nscripted policy, for experts with `source: scripted`."
)


def lines(names: Iterable[str] = suites.NAMES) -> Iterator[str]:
    """A block per suite: its problems here, then its tasks."""
    listed = False
    for name in names:
        suite, simulator = suites.suite(name), suites.simulator(name)
        if not suite.tasks:
            yield (
                f"{suite.label}: called `module:function` in params.yaml, each action applied once "
                f"(docs/extending.md)"
            )
            yield ""
            continue
        listed = True
        yield f"{suite.label}: {len(suite.tasks)} tasks, measured by {suite.measure}"
        yield from (f"  missing for {what}: {reason}" for what, reason in problems(name))
        wide = max(map(len, suite.tasks))
        yield "  " + "  ".join((f"{HEAD[0]:{wide}}", *(f"{head:>7}" for head in HEAD[1:])))
        for task_name, task in suite.tasks.items():
            reason, published = simulator.missing_assets(task), expert_score(task_name)
            score = "" if published is None else f"{published:g}"
            script = "yes" if task.scripted else ""
            cells = (task.obs_dim, task.action_dim, task.episode_length, score, script)
            line = "  ".join((f"{task_name:{wide}}", *(f"{cell:>7}" for cell in cells)))
            yield f"  {line}{f'  missing: {reason}' if reason else ''}".rstrip()
        yield ""
    if listed:
        yield LEGEND


def missing(names: Iterable[str]) -> Iterator[str]:
    """A block per suite for which something is missing here: for what, why, and the tasks."""
    any_missing = False
    for name in names:
        suite, why = suites.suite(name), list(problems(name))
        if not suite.tasks:
            continue
        assets = {
            task_name: reason
            for task_name, task in suite.tasks.items()
            if (reason := suites.simulator(name).missing_assets(task))
        }
        if not why and not assets:
            continue
        any_missing = True
        yield suite.label
        for what, reason in why:
            yield f"  missing for {what}: {reason}"
            yield f"    concerns {', '.join(suite.tasks)}"
        yield from (f"  {task_name}  missing: {reason}" for task_name, reason in assets.items())
    if not any_missing:
        yield "nothing is missing on this machine"


def problems(name: str) -> Iterator[tuple[str, str]]:
    """The uses for which a suite is missing something here, each with the reason."""
    if reason := suites.not_installed(name):
        yield "all", reason
    else:
        yield from suites.simulator(name).problems()
