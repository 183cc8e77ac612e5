"""Running a job: check its inputs, do its work aside, complete it with a manifest, put it in place.

What each stage computes lives in the modules that `plan.CODE` names; this one only connects them.
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

import cdred
from cdred import manifest
from cdred.config import Config
from cdred.errors import CdredError
from cdred.learning.device import device_name, prepare, select
from cdred.plan import CODE, Job, Plan, check_target
from cdred.state import alone
from cdred.system import container, machine
from cdred.system.progress import logger
from cdred.watch import Watch


def run(plan: Plan, job: Job) -> None:
    """Make the job's artifact, replacing an older one only when the new one is complete.

    A job that was killed goes on from its last state. Raises CdredError when an input is missing,
    stale or damaged, when another process is making the same, when something that this tool did
    not make stands in the way, or when the checkout cannot be written.
    """
    container.check_lock(plan.root)
    check_code(plan, job)
    check_target(plan.root / job.path)
    for source in job.inputs:
        check_input(plan, source)
    with alone(plan.root, job):
        _run(plan, job)


def _run(plan: Plan, job: Job) -> None:
    target = plan.root / job.path
    aside = _make_aside(target)
    watch = Watch(plan, job)
    try:
        _WORK[job.stage](plan, job, aside, watch)
        manifest.write(
            aside,
            {
                "stage": job.stage, "task": job.task, "entry": job.entry, "seed": job.seed,
                "digest": job.digest, "params": job.params, "code": job.code,
                "inputs": {
                    j.path.as_posix(): manifest.hash_file(plan.root / j.path / manifest.NAME)
                    for j in job.inputs
                },
                "packages": manifest.packages(),
                "device": ", then ".join(watch.devices),
                "machine": ", then ".join(watch.machines),
                "threads": plan.config.compute.threads,
            },
        )  # fmt: skip
        _put_in_place(aside, target)
    except BaseException as exc:
        watch.failed(exc)
        # Libraries name a full disk each in their own way.
        if isinstance(exc, Exception) and shutil.disk_usage(target.parent).free < 2**20:
            full = errno.ENOSPC
            raise OSError(full, os.strerror(full), str(target)) from exc
        if not isinstance(exc, FloatingPointError):
            raise
        kept = "; its last good state is kept" if watch.state.file.exists() else ""
        raise CdredError(f"{job.path}: stopped, nothing was written: {exc}{kept}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    watch.end()


def check_code(plan: Plan, job: Job) -> None:
    """The code that runs must be the code that was hashed: the checkout's."""
    package = Path(cdred.__file__).resolve().parent
    if package == (plan.root / "cdred").resolve():
        return
    if manifest.hash_code(package.parent, CODE[job.stage]) != job.code:
        raise CdredError(
            f"{package}: this installed code differs from the checkout's, whose hash names the "
            f"results; install the checkout (`make setup`)"
        )


def check_input(plan: Plan, source: Job) -> None:
    found = manifest.verify(plan.root / source.path, source.command)
    if found["digest"] != source.digest:
        raise CdredError(
            f"{source.path}: made from other parameters or code; `{source.command}` makes it again"
        )


def _make_aside(target: Path) -> Path:
    """A hidden directory beside the target: on its file system, and unseen by both engines.

    Clears away what a killed process left, which held the lock that we hold now.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside, old = _asides(target)
    if old.exists() and not target.exists():  # killed between the two renames of _put_in_place
        old.rename(target)
    for left in (aside, old):
        shutil.rmtree(left, ignore_errors=True)
    aside.mkdir()
    return aside


def _asides(target: Path) -> tuple[Path, Path]:
    return target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.old")


def _put_in_place(aside: Path, target: Path) -> None:
    """Rename the finished artifact to its place; the older one goes only then."""
    if not target.exists():
        aside.rename(target)
        return
    _, old = _asides(target)
    target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


# ---- what each stage does ------------------------------------------------------------------


def _device(config: Config) -> Any:
    """The torch device of the configuration, its threads set."""
    prepare(config.compute.threads)
    return select(config.compute.device, machine.take_gpu)


def _expert(plan: Plan, job: Job, out: Path, watch: Watch) -> None:
    from cdred import acceptance, methods
    from cdred.hub.pull import folder_of
    from cdred.learning import saving
    from cdred.learning.checkpoint import load_expert
    from cdred.learning.scripted import ScriptedExpert
    from cdred.learning.train import train

    device, entry = _device(plan.config), plan.config.experts[job.entry]
    label = f"expert {job.task} {job.entry} seed {job.seed}"
    steps = entry.settings.steps if entry.source == "train" else 0
    watch.begin(label, steps, "step", device_name(device))
    history = None
    agent: Any
    if entry.source == "train":
        agent, history = train(
            job.task, methods.EXPERT, entry.settings, job.seed, [], device, watch, entry.obs
        )
    elif entry.source == "scripted":
        agent = ScriptedExpert(job.task)
    else:
        folder = folder_of(plan.root, entry.checkpoint, entry.revision)
        agent = load_expert(folder, job.task, entry.obs, entry.checkpoint)
    wanted = plan.config.expert
    score = acceptance.score(agent.to(device), job.task, wanted.episodes)
    logger.info(acceptance.judge(job, wanted, score))
    saving.write(out, agent, history)


def _imitate(plan: Plan, job: Job, out: Path, watch: Watch) -> None:
    from cdred.demos import dataset
    from cdred.learning import saving
    from cdred.learning.train import train

    device, entry = _device(plan.config), plan.config.runs[job.entry]
    episodes = dataset.read(plan.root / job.inputs[0].path, entry.demo_episodes)
    label = f"imitate {job.task} {job.entry} seed {job.seed}"
    watch.begin(label, entry.settings.steps, entry.definition.unit, device_name(device))
    obs = plan.config.demos[entry.demos].obs
    agent, history = train(
        job.task, entry.method, entry.settings, job.seed, episodes, device, watch, obs
    )
    saving.write(out, agent, history)


def _demos(plan: Plan, job: Job, out: Path, watch: Watch) -> None:
    from cdred.demos import dataset, selection
    from cdred.envs.episodes import summary
    from cdred.envs.tasks import find
    from cdred.learning import saving

    device, entry = _device(plan.config), plan.config.demos[job.entry]
    length = find(job.task).episode_length
    chosen = selection.Selection(
        entry.episodes, entry.obs, entry.seed, entry.only, entry.min_return
    )
    watch.begin(f"demos {job.task} {job.entry}", length, "step", device_name(device))
    if job.inputs:
        folder = plan.root / job.inputs[0].path
        agent = saving.load(folder).to(device)
        episodes = selection.collect(
            agent, job.task, chosen, str(entry.expert), watch, _parallel(plan)
        )
        provenance = {"expert": manifest.hash_file(folder / manifest.NAME)}
    else:
        episodes = _recorded(plan, job, chosen)
        provenance = {"source": f"{entry.source} {entry.path}"}
    dataset.write(out, episodes, job.task, job.entry, provenance)
    returns = [e.episode_return for e in episodes]
    _track_episodes(watch, episodes)
    spread = f"{min(returns):.1f} to {max(returns):.1f}"
    logger.info(f"{len(returns)} episodes, {summary(episodes)} ({spread})")


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


def _evaluate(plan: Plan, job: Job, out: Path, watch: Watch) -> None:
    from cdred import evaluation
    from cdred.envs.episodes import summary
    from cdred.envs.tasks import find
    from cdred.envs.video import cannot_film, film
    from cdred.learning import saving

    device, chosen = _device(plan.config), plan.config.evaluation
    agent = saving.load(plan.root / job.inputs[0].path).to(device)
    label = f"evaluate {job.task} {job.entry} seed {job.seed}"
    watch.begin(label, find(job.task).episode_length, "step", device_name(device))
    episodes = evaluation.evaluate(
        agent, job.task, chosen.episodes, chosen.seed, watch, _parallel(plan)
    )
    found = evaluation.results(agent, job.task, episodes)
    evaluation.write(out, found)
    if chosen.video and (reason := cannot_film(job.task)):
        logger.warning(f"no film: {job.task} {reason}")
    elif chosen.video:
        first = episodes[0]
        film(job.task, first.seed, first.action[: chosen.video], out / evaluation.VIDEO)
    _track_episodes(watch, episodes)
    watch.runtime.write("acting", ms_per_action=_ms_per_action(agent, episodes[0].obs))
    logger.info(f"{summary(episodes)} over {len(episodes)} episodes")


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


def _track_episodes(watch: Watch, episodes: list[Any]) -> None:
    for k, e in enumerate(episodes):
        row = {"step": k, "return": e.episode_return, "length": len(e.action), "success": e.success}
        watch.row("episodes", row)
    mean = sum(e.episode_return for e in episodes) / len(episodes)
    watch.row("result", {"step": 0, "return_mean": mean})


def _report(plan: Plan, job: Job, out: Path, watch: Watch) -> None:
    from cdred import report
    from cdred.description import describe
    from cdred.tools import cost_page

    watch.begin(f"report {job.entry}", 0, "", "cpu")
    report.write(describe(plan), out)
    try:
        cost_page.write(plan, job)
    except OSError as exc:  # a log must not cost the work it tells of
        logger.warning(f"{exc.filename}: cannot be written: {exc.strerror}")


_WORK: dict[str, Callable[[Plan, Job, Path, Watch], None]] = {
    "expert": _expert,
    "demos": _demos,
    "imitate": _imitate,
    "evaluate": _evaluate,
    "report": _report,
}
