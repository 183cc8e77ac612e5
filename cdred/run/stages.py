"""The five stages: each connects a job with what computes its result, in the packages above.

A job's inputs are checked, its work is done aside, completed with a manifest and put in place.
"""

from __future__ import annotations

import errno
import os
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdred import container, machine, manifest
from cdred.config import Config
from cdred.errors import CdredError
from cdred.plan import Job, Plan, ownership
from cdred.progress import logger
from cdred.run import artifact
from cdred.run.job_monitor import JobMonitor
from cdred.run.resume import ResumeState
from cdred.system.locks import exclusive


def run(plan: Plan, job: Job) -> None:
    """Make the job's artifact, replacing an older one only when the new one is complete.

    A job that was killed goes on from its last state; one whose artifact is up to date and intact
    is left as it is. Raises CdredError when an input is missing, stale or damaged, when another
    process is making the same, when something that this tool did not make stands in the way, or
    when the checkout cannot be written.
    """
    container.check_lock(plan.root)
    artifact.check_code(plan, job)
    ownership.check_target(plan.root, job.path)
    with exclusive(plan.root, job.path):
        for source in job.inputs:
            artifact.check_input(plan, source)
        if artifact.is_intact(plan, job):
            ResumeState(plan.root, job).remove()
            logger.info(f"{job.path}: up to date; to make it again, remove it first")
            return
        _run(plan, job)


def _run(plan: Plan, job: Job) -> None:
    target = plan.root / job.path
    aside = artifact.make_aside(target)
    monitor = JobMonitor(plan, job)
    try:
        WORK[job.stage](plan, job, aside, monitor)
        artifact.check_loaded(plan, job)
        if job.stage in AFTERWARDS:
            AFTERWARDS[job.stage](plan, job, aside)
        circumstances = {
            "device": ", then ".join(monitor.devices),
            "machine": ", then ".join(monitor.machines),
            "threads": plan.config.compute.threads,
        }
        artifact.complete(plan, job, aside, circumstances)
        artifact.put_in_place(plan.root, job.path, aside)
    except BaseException as exc:
        monitor.failed(exc)
        # Libraries name a full disk each in their own way.
        if isinstance(exc, Exception) and shutil.disk_usage(target.parent).free < 2**20:
            full = errno.ENOSPC
            raise OSError(full, os.strerror(full), str(target)) from exc
        if not isinstance(exc, FloatingPointError):
            raise
        kept = "; its last good state is kept" if monitor.state.file.exists() else ""
        raise CdredError(f"{job.path}: stopped, nothing was written: {exc}{kept}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    monitor.end()


# ---- what each stage does ------------------------------------------------------------------


def _device(config: Config) -> Any:
    """The torch device of the configuration, its threads set."""
    machine.prepare(config.compute.threads)
    return machine.device(config.compute.device)


def _expert(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred.learning import training

    device, entry = _device(plan.config), plan.config.experts[job.entry]
    label = f"expert {job.task} {job.entry} seed {job.seed}"
    steps = entry.settings.steps if entry.source == "train" else 0
    monitor.begin(label, steps, "step", machine.device_name(device))
    agent: Any
    if entry.source == "train":
        agent, history = training.train(
            job.task, "expert", entry.settings, job.seed, [], device, monitor, entry.obs
        )
        training.write(out, agent, history)
    elif entry.source == "scripted":
        from cdred.learning.scripted import ScriptedExpert

        training.write(out, ScriptedExpert(job.task), training.History())
    else:
        from cdred.learning.checkpoint import load_expert

        assert entry.checkpoint is not None
        agent = load_expert(plan.root, job.task, entry.obs, entry.checkpoint, entry.revision)
        training.write(out, agent, training.History())


def _accept(plan: Plan, job: Job, out: Path) -> None:
    """Refuse an expert that is not good enough. No part of what it is, so not of its code."""
    from cdred.learning import training
    from cdred.run import acceptance

    agent, demanded = training.load(out).to(_device(plan.config)), plan.config.expert
    score = acceptance.score(agent, job.task, demanded.episodes)
    logger.info(acceptance.judge(job, demanded, score))


def _imitate(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import demos
    from cdred.learning import training

    device, entry = _device(plan.config), plan.config.runs[job.entry]
    episodes = demos.read(plan.root / job.inputs[0].path, entry.demo_episodes)
    label = f"imitate {job.task} {job.entry} seed {job.seed}"
    unit = "update" if entry.method == "bc" else "step"
    monitor.begin(label, entry.settings.steps, unit, machine.device_name(device))
    obs = plan.config.demos[entry.demos].obs
    agent, history = training.train(
        job.task, entry.method, entry.settings, job.seed, episodes, device, monitor, obs
    )
    training.write(out, agent, history)


def _demos(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import demos
    from cdred.envs.rollout import said
    from cdred.envs.tasks import TASKS
    from cdred.learning import training

    device, entry = _device(plan.config), plan.config.demos[job.entry]
    length = TASKS[job.task].episode_length
    monitor.begin(f"demos {job.task} {job.entry}", length, "step", machine.device_name(device))
    if job.inputs:
        folder = plan.root / job.inputs[0].path
        agent = training.load(folder).to(device)
        episodes = demos.collect(agent, job.task, entry, monitor, _parallel(plan))
        provenance = {"expert": manifest.hash_file(folder / manifest.NAME)}
    else:
        from cdred import foreign

        episodes = foreign.collect(plan.root, job.task, entry)
        provenance = {"source": f"{entry.source} {entry.path}"}
    demos.write(out, episodes, job.task, job.entry, provenance)
    returns = [e.episode_return for e in episodes]
    _track_episodes(monitor, episodes)
    spread = f"{min(returns):.1f} to {max(returns):.1f}"
    logger.info(f"{len(returns)} episodes, {said(episodes)} ({spread})")


def _evaluate(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import evaluation
    from cdred.envs.rollout import said
    from cdred.envs.tasks import TASKS
    from cdred.envs.video import film, unfilmable
    from cdred.learning import training

    device, chosen = _device(plan.config), plan.config.evaluation
    agent = training.load(plan.root / job.inputs[0].path).to(device)
    label = f"evaluate {job.task} {job.entry} seed {job.seed}"
    monitor.begin(label, TASKS[job.task].episode_length, "step", machine.device_name(device))
    episodes = evaluation.evaluate(
        agent, job.task, chosen.episodes, chosen.seed, monitor, _parallel(plan)
    )
    found = evaluation.results(agent, job.task, episodes)
    evaluation.write(out, found)
    if chosen.video and (reason := unfilmable(job.task)):
        logger.warning(f"no film: {job.task} {reason}")
    elif chosen.video:
        first = episodes[0]
        film(job.task, first.seed, first.action[: chosen.video], out / evaluation.VIDEO)
    _track_episodes(monitor, episodes)
    monitor.runtime.write("acting", ms_per_action=_ms_per_action(agent, episodes[0].obs))
    logger.info(f"{said(episodes)} over {len(episodes)} episodes")


def _ms_per_action(agent: Any, observations: Any, most: int = 50, seconds: float = 5.0) -> float:
    """The median time to act once on one observation, of `most` at most and for a few `seconds`."""
    agent.reset()
    times: list[float] = []
    for obs in observations[: most + 1]:
        start = time.perf_counter()
        agent.act(obs[None])
        times.append(1000 * (time.perf_counter() - start))
        if sum(times) > 1000 * seconds:
            break
    return round(statistics.median(times[1:] or times), 3)  # the first warms up


def _parallel(plan: Plan) -> bool:
    return plan.config.compute.environments == "parallel"


def _track_episodes(monitor: JobMonitor, episodes: list[Any]) -> None:
    for k, e in enumerate(episodes):
        row = {"step": k, "return": e.episode_return, "length": len(e.action), "success": e.success}
        monitor.row("episodes", row)
    mean = sum(e.episode_return for e in episodes) / len(episodes)
    monitor.row("result", {"step": 0, "return_mean": mean})


def _report(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import report

    monitor.begin(f"report {job.entry}", 0, "", "cpu")
    report.write(plan, job, out)


def _report_cost(plan: Plan, job: Job, out: Path) -> None:
    """Write what the machines took, which is no part of the report, among its logs."""
    from cdred.report import measured

    try:
        measured.write(plan, job)
    except OSError as exc:  # a log must not cost the work it tells of
        logger.warning(f"{exc.filename}: cannot be written: {exc.strerror}")


WORK: dict[str, Callable[[Plan, Job, Path, JobMonitor], None]] = {
    "expert": _expert,
    "demos": _demos,
    "imitate": _imitate,
    "evaluate": _evaluate,
    "report": _report,
}
# What follows the work and does not decide what it is: it may load other code.
AFTERWARDS: dict[str, Callable[[Plan, Job, Path], None]] = {
    "expert": _accept,
    "report": _report_cost,
}
