"""The five stages: each connects a job with what computes its result, in the packages above.

A job's inputs are checked, its work is done aside, completed with a manifest and put in place.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.config.schema import RecordedDemos
from cdred.envs.tasks import find
from cdred.errors import CdredError, counted
from cdred.learning.device import device_name, prepare, select
from cdred.learning.settings import Settings, Use
from cdred.plan import Job, Plan, ownership
from cdred.run import artifact, memory
from cdred.run.job_monitor import JobMonitor
from cdred.run.resume import ResumeState
from cdred.system import container, machine
from cdred.system.locks import exclusive
from cdred.system.progress import logger

COMPILED = Path(".cdred/cache/compiled")  # programs, for all jobs of the checkout


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
        inputs = {
            source.path.as_posix(): artifact.check_input(plan, source) for source in job.inputs
        }
        if artifact.is_intact(plan, job):
            ResumeState(plan.root, job, inputs).remove()
            logger.info(f"{job.path}: up to date; to make it again, remove it first")
            return
        _run(plan, job, inputs)


def _run(plan: Plan, job: Job, inputs: dict[str, str]) -> None:
    target = plan.root / job.path
    aside = artifact.make_aside(target)
    monitor = JobMonitor(plan, job, inputs)
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
        artifact.complete(job, aside, inputs, circumstances)
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


def _device(plan: Plan) -> Any:
    """The torch device of the configuration, its threads set, and where what is compiled is kept
    for other jobs."""
    compiled = plan.root / COMPILED / machine.kind()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled.resolve()))
    prepare(plan.config.compute.threads)
    return select(plan.config.compute.device, machine.take_gpu)


def _check_settings(job: Job, key: str, settings: Settings, obs: str) -> None:
    """Refuse, before the first step, settings that do not go with the task: only now is the length
    of its episodes known for certain, if the task is somebody's own."""
    for problem in settings.problems(Use(obs, find(job.task).episode_length)):
        raise CdredError(f"params.yaml: {key}.{problem.key}: {job.task}: {problem.message}")


def _expert(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import methods
    from cdred.learning import saving

    device, entry = _device(plan), plan.config.experts[job.entry]
    memory.check(plan, job)
    label = f"expert {job.task} {job.entry} seed {job.seed}"
    steps = entry.settings.steps if entry.source == "train" else 0
    monitor.begin(label, steps, "step", device_name(device))
    agent: Any
    if entry.source == "train":
        from cdred.learning.train import train

        _check_settings(job, f"experts.{job.entry}", entry.settings, entry.obs)
        agent, history = train(
            job.task, methods.EXPERT, entry.settings, job.seed, [], device, monitor, entry.obs
        )
        saving.write(out, agent, history)
    elif entry.source == "scripted":
        from cdred.learning.scripted import ScriptedExpert

        saving.write(out, ScriptedExpert(job.task))
    else:
        from cdred.hub.pull import pull
        from cdred.learning.checkpoint import load_expert

        if entry.source == "hub":
            folder = pull(entry.checkpoint, "model", entry.revision).folder
        elif not (folder := plan.root / entry.checkpoint).is_dir():
            raise CdredError(
                f"experts.{job.entry}.checkpoint: {entry.checkpoint}: no such directory; a model "
                f"on the Hub is `source: hub`"
            )
        agent = load_expert(folder, job.task, entry.obs, entry.checkpoint)
        saving.write(out, agent)


def _accept(plan: Plan, job: Job, out: Path) -> None:
    """Refuse an expert that is not good enough. No part of what it is, so not of its code."""
    from cdred.learning import saving
    from cdred.run import acceptance

    agent, demanded = saving.load(out, job.task).to(_device(plan)), plan.config.expert
    score = acceptance.score(agent, job.task, demanded.episodes)
    logger.info(acceptance.judge(job, demanded, score))


def _imitate(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred.demos import dataset
    from cdred.learning import saving
    from cdred.learning.train import train

    device, entry = _device(plan), plan.config.runs[job.entry]
    memory.check(plan, job)
    obs = plan.config.demos[entry.demos].obs
    horizon = getattr(entry.settings, "horizon", 1)  # of methods that learn a model
    folder = plan.root / job.inputs[0].path
    episodes = dataset.read(folder, job.task, obs, entry.demo_episodes, horizon)
    label = f"imitate {job.task} {job.entry} seed {job.seed}"
    monitor.begin(label, entry.settings.steps, entry.definition.unit, device_name(device))
    _check_settings(job, f"runs.{job.entry}", entry.settings, obs)
    agent, history = train(
        job.task, entry.method, entry.settings, job.seed, episodes, device, monitor, obs
    )
    saving.write(out, agent, history)


def _demos(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred.demos import dataset, selection
    from cdred.envs.episodes import summary

    device, entry = _device(plan), plan.config.demos[job.entry]
    memory.check(plan, job)
    length = find(job.task).episode_length
    chosen = selection.Selection(
        entry.episodes, entry.obs, entry.seed, entry.only, entry.min_return
    )
    monitor.begin(f"demos {job.task} {job.entry}", length, "step", device_name(device))
    if job.inputs:
        from cdred.learning import saving

        folder = plan.root / job.inputs[0].path
        agent = saving.load(folder, job.task).to(device)
        episodes = selection.collect(
            agent, job.task, chosen, str(entry.expert), monitor, _parallel(plan)
        )
        provenance = {"expert": manifest.hash_file(folder / manifest.NAME)}
    else:
        episodes = _recorded(plan, job, chosen)
        provenance = {"source": f"{entry.source} {entry.path}"}
    dataset.write(out, episodes, job.task, job.entry, provenance)
    returns = [e.episode_return for e in episodes]
    _track_episodes(monitor, episodes)
    known = not any(map(math.isnan, returns))  # recordings may lack rewards
    spread = f" ({min(returns):.1f} to {max(returns):.1f})" if known else ""
    logger.info(f"{len(returns)} episodes, {summary(episodes)}{spread}")


def _recorded(plan: Plan, job: Job, selection: Any) -> list[Any]:
    """The episodes that others recorded, or published."""
    from cdred.demos import importers
    from cdred.hub.pull import pull

    entry = plan.config.demos[job.entry]
    assert entry.path is not None
    if entry.source != "hub":
        return importers.read(
            plan.root, job.task, entry.source, entry.path, selection, entry.stride
        )
    where = f"{entry.path}@{entry.revision}"
    pulled = pull(entry.path, "dataset", entry.revision)
    stage, task = pulled.manifest["stage"], pulled.manifest["task"]
    if (stage, task) != ("demos", job.task):
        raise CdredError(f"{where}: holds {stage} of {task}, not demos of {job.task}")
    return importers.read_published(where, pulled.folder, job.task, selection)


def _compare_observations(plan: Plan, job: Job, out: Path) -> None:
    """Refuse what others recorded where it means something else than the environment's."""
    from cdred.demos import consistency, dataset

    entry = plan.config.demos[job.entry]
    if isinstance(entry, RecordedDemos) and entry.check_observations:
        episodes = dataset.read(out, job.task, entry.obs)
        logger.info(consistency.check(entry.path, job.task, episodes, play=entry.stride == 1))


def _evaluate(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import evaluation
    from cdred.envs.episodes import summary
    from cdred.envs.video import cannot_film
    from cdred.learning import saving

    device, chosen = _device(plan), plan.config.evaluation
    memory.check(plan, job)
    agent = saving.load(plan.root / job.inputs[0].path, job.task).to(device)
    label = f"evaluate {job.task} {job.entry} seed {job.seed}"
    monitor.begin(label, find(job.task).episode_length, "step", device_name(device))
    episodes = evaluation.evaluate(
        agent, job.task, chosen.episodes, chosen.seed, monitor, _parallel(plan)
    )
    evaluation.write(out, evaluation.results(agent, job.task, episodes))
    if chosen.video and (reason := cannot_film(job.task)):
        logger.warning(f"no film: {job.task} {reason}")
    elif chosen.video:
        evaluation.film_episodes(job.task, episodes, chosen.video, out)
    _track_episodes(monitor, episodes)
    monitor.runtime.write("acting", ms_per_action=_ms_per_action(agent, episodes[0].obs))
    logger.info(f"{summary(episodes)} over {counted(len(episodes), 'episode')}")


def _ms_per_action(agent: Any, observations: Any) -> float:
    """The median time to act once on one observation, of fifty at most and for a few seconds."""
    agent.reset()
    times: list[float] = []
    for obs in observations[:51]:
        start = time.perf_counter()
        agent.act(obs[None])
        times.append(1000 * (time.perf_counter() - start))
        if sum(times) > 5000:
            break
    return round(statistics.median(times[1:] or times), 3)  # the first warms up


def _parallel(plan: Plan) -> bool:
    return plan.config.compute.environments == "parallel"


def _track_episodes(monitor: JobMonitor, episodes: list[Any]) -> None:
    for k, e in enumerate(episodes):
        row = {
            "step": k, "return": e.episode_return, "length": len(e.action),
            "success_at_end": e.success, "success_once": e.success_once,
        }  # fmt: skip
        monitor.row("episodes", row)
    mean = sum(e.episode_return for e in episodes) / len(episodes)
    if not math.isnan(mean):
        monitor.row("result", {"step": 0, "return_mean": mean})


def _report(plan: Plan, job: Job, out: Path, monitor: JobMonitor) -> None:
    from cdred import report
    from cdred.plan.description import describe
    from cdred.tools import circumstances

    monitor.begin(f"report {job.entry}", 0, "", "cpu")
    report.write(replace(describe(plan), facts=circumstances.facts(plan)), out)


def _report_cost(plan: Plan, job: Job, out: Path) -> None:
    """Write what the machines took, which is no part of the report, among its logs."""
    from cdred.tools import cost_page

    try:
        cost_page.write(plan, job)
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
    "demos": _compare_observations,
    "report": _report_cost,
}
