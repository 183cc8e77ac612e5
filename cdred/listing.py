"""`cdred tasks`: the task table, and what of it cannot run on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from cdred.envs import maniskill2, rendering
from cdred.envs.tasks import SUITES, TASKS, not_installed
from cdred.errors import CdredError

HEAD = ("task", "obs", "action", "steps", "TD-MPC2")


def lines() -> Iterator[str]:
    """A block per suite: what is missing for it, then its tasks."""
    for suite, title in SUITES.items():
        tasks = {name: task for name, task in TASKS.items() if task.suite == suite}
        measured = next(iter(tasks.values())).measure
        yield f"{title}: {len(tasks)} tasks, measured by {measured}"
        yield from (f"  missing for {what}: {reason}" for what, reason in missing(suite))
        wide = max(map(len, tasks))
        yield "  " + "  ".join((f"{HEAD[0]:{wide}}", *(f"{head:>7}" for head in HEAD[1:])))
        for name, task in tasks.items():
            reason = maniskill2.missing_assets(task)
            published = "" if task.published is None else f"{task.published:g}"
            cells = (task.obs_dim, task.action_dim, task.episode_length, published)
            line = "  ".join((f"{name:{wide}}", *(f"{cell:>7}" for cell in cells)))
            yield f"  {line}{f'  missing: {reason}' if reason else ''}".rstrip()
        yield ""
    yield (
        "obs: numbers in a `state` observation; `rgb` is 9 x 64 x 64 everywhere. steps: an "
        "episode's,\neach with the action applied twice. TD-MPC2: its published score."
    )


def missing(suite: str) -> Iterator[tuple[str, str]]:
    """What a suite as a whole cannot do here, and why."""
    if reason := not_installed(suite):
        yield "all", reason
        return
    if suite == "maniskill2":
        if reason := rendering.missing_library("vulkan", "libvulkan1"):
            yield "all", reason
        elif reason := maniskill2.cannot_render():
            yield "rgb and films", reason
        return
    try:
        rendering.opengl()
    except CdredError as exc:
        yield "rgb and films", str(exc)
