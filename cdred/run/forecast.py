"""The time that a plan's jobs will take on this machine: from rates measured here within seconds,
and from the progress of those that run.

A forecast is for a person who waits. Nothing that is computed depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cdred.learning.settings import WorldModelSettings
from cdred.plan import Job, Plan, Training
from cdred.tools.durations import Durations

SECONDS = 0.7  # that a rate is measured for
# Of a job: programs start, modules are imported, an artifact is hashed.
START = 6.0
FILM, PAGES, COMPILING = 6.0, 10.0, 45.0
# What compiling leaves of the time of an update (docs/performance.md).
COMPILED_SHARE = 0.45


def measure(plan: Plan, jobs: Iterable[Job]) -> dict[Job, float]:
    """The seconds that each job will take: as jobs like it took here, else at rates that are
    measured now, on a core."""
    known: dict[Any, float] = {}
    durations = Durations(plan)

    def once(key: Any, rate: Callable[[], float]) -> float:
        if key not in known:
            known[key] = rate()
        return known[key]

    def seconds(job: Job) -> float:
        before = durations.seconds(job)
        return before if before is not None else START + _work(plan, job, once)

    return {job: seconds(job) for job in jobs}


def _work(plan: Plan, job: Job, once: Callable[[Any, Callable[[], float]], float]) -> float:
    from cdred.envs.tasks import find
    from cdred.learning import derived

    if job.stage == "report":
        return PAGES
    length = find(job.task).episode_length
    step = once(("step", job.task), lambda: _step(job.task))
    if job.stage in ("demos", "evaluate"):
        entry = plan.config.evaluation if job.stage == "evaluate" else plan.config.demos[job.entry]
        film = FILM if job.stage == "evaluate" and plan.config.evaluation.video else 0.0
        return entry.episodes * length * step + film
    training = plan.training(job)
    if training is None:
        return 0.0
    s = training.settings
    update = once((job.task, training), lambda: _update(job.task, training))
    evaluations = -(-s.steps // s.eval_every) * s.eval_episodes * length * step
    if not isinstance(s, WorldModelSettings):
        return s.steps * update + evaluations
    compiles = derived.execution(s, "cpu") == "compiled"
    updates = derived.total_updates(s) * update * (COMPILED_SHARE if compiles else 1.0)
    # A step of a training acts on one observation, which is most of its time.
    return updates + s.steps * 3 * step + evaluations + (COMPILING if compiles else 0.0)


def _step(task: str) -> float:
    """Seconds of a step of the task's environment."""
    from cdred.envs import make

    env = make(task)
    try:
        env.reset(seed=0)
        action = env.action_space.sample()

        def step() -> None:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

        return _seconds(step)
    finally:
        env.close()


def _update(task: str, training: Training) -> float:
    """Seconds of an update, eager, on made-up data."""
    import torch

    from cdred.run import compile_ahead

    torch.set_num_threads(1)
    s = training.settings
    if isinstance(s, WorldModelSettings):
        training = training._replace(settings=s.replace(compile=False))
    return _seconds(compile_ahead.update_of(task, training))


def _seconds(function: Callable[[], object]) -> float:
    function()
    start, calls = time.monotonic(), 0
    while (passed := time.monotonic() - start) < SECONDS:
        function()
        calls += 1
    return passed / calls


def time_left(
    seconds: Mapping[Job, float], running: Mapping[Job, float], done: Iterable[Job], cores: int
) -> float:
    """Seconds until the last job ends, when each of `seconds` starts as soon as its inputs are
    there and a core is free, the longest first. `running` gives the share of a job that is done."""
    ends = dict.fromkeys(done, 0.0)
    active = {job: seconds[job] * (1 - share) for job, share in running.items()}
    waiting = sorted(seconds.keys() - active.keys() - ends.keys(), key=lambda j: -seconds[j])
    now = 0.0
    while active or waiting:
        for job in [j for j in waiting if all(i in ends or i not in seconds for i in j.inputs)]:
            if len(active) < cores:
                active[job] = now + seconds[job]
                waiting.remove(job)
        if not active:
            return now  # what is left waits for something outside of the forecast
        first = min(active, key=lambda j: active[j])
        now = ends[first] = max(now, active.pop(first))
    return now
