"""Running a job: check its inputs, do its work aside, complete it with a manifest, put it in place.

What each stage computes lives in the modules that `plan.CODE` names; this one only connects them.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import cdred
from cdred import manifest
from cdred.config import Config
from cdred.errors import CdredError
from cdred.plan import CODE, Job, Plan, check_target
from cdred.progress import Progress, logger

# Named in manifests: what results depend on beside our own code.
PACKAGES = (
    "dm_control", "gymnasium", "minari", "mujoco", "numpy", "safetensors", "shimmy", "torch",
)  # fmt: skip


def run(plan: Plan, job: Job) -> None:
    """Make the job's artifact, replacing an older one only when the new one is complete.

    Raises CdredError when an input is missing, stale or damaged, when something that this tool did
    not make stands in the way, or when the checkout cannot be written.
    """
    check_code(plan, job)
    check_target(plan.root / job.path)
    for source in job.inputs:
        check_input(plan, source)
    aside = _make_aside(plan.root, job)
    started = time.time()
    try:
        device, steps = _WORK[job.stage](plan, job, aside)
        manifest.write(
            aside,
            {
                "stage": job.stage, "task": job.task, "entry": job.entry, "seed": job.seed,
                "digest": job.digest, "params": job.params, "code": job.code,
                "inputs": {
                    j.path.as_posix(): manifest.hash_file(plan.root / j.path / manifest.NAME)
                    for j in job.inputs
                },
                "packages": {name: metadata.version(name) for name in PACKAGES},
                "device": device,
            },
        )  # fmt: skip
        _put_in_place(aside, plan.root / job.path)
    except FloatingPointError as exc:
        raise CdredError(f"{job.path}: stopped, nothing was written: {exc}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    seconds = time.time() - started
    _write_runtime(plan, job, started, seconds, steps, device)
    logger.info(f"{job.path}: done in {seconds:.0f} s")


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


def _make_aside(root: Path, job: Job) -> Path:
    """A hidden directory beside the target: on its file system, and unseen by both engines."""
    target = root / job.path
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))


def _put_in_place(aside: Path, target: Path) -> None:
    """Rename the finished artifact to its place; the older one goes only then."""
    aside.chmod(0o755)
    for file in aside.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    if not target.exists():
        aside.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent)) / "artifact"
    target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        old.rename(target)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _write_runtime(
    plan: Plan, job: Job, started: float, seconds: float, steps: int, device: str
) -> None:
    """One line per run beside the log: what depends on the machine and stays out of artifacts."""
    row = {
        "digest": job.digest,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(seconds, 2),
        "steps": steps,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "device": device,
        "threads": plan.config.compute.threads,
        "host": os.uname().nodename,
    }
    file = plan.root / job.log.with_name("runtime.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


# ---- what each stage does ------------------------------------------------------------------


def _device(config: Config) -> Any:
    """The torch device of the configuration, its threads set."""
    import torch

    compute = config.compute
    torch.set_num_threads(compute.threads)
    available = torch.cuda.is_available()
    if compute.device == "cuda" and not available:
        raise CdredError("params.yaml: compute.device: cuda: torch finds no CUDA device here")
    if compute.device == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda")


def _device_kind(device: Any) -> str:
    import torch

    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def _train(plan: Plan, job: Job, out: Path) -> tuple[str, int]:
    from cdred import demos
    from cdred.learning import training

    device = _device(plan.config)
    if job.stage == "expert":
        settings, method, episodes = plan.config.experts[job.entry].settings, "expert", []
    else:
        entry = plan.config.runs[job.entry]
        settings, method = entry.settings, entry.method
        episodes = demos.read(plan.root / job.inputs[0].path, entry.demo_episodes)
    unit = "update" if method == "bc" else "step"
    with Progress(f"{job.stage} {job.task} {job.entry} seed {job.seed}", settings.steps, unit) as p:
        agent, history = training.train(job.task, method, settings, job.seed, episodes, device, p)
    training.write(out, agent, history)
    return _device_kind(device), settings.steps


def _demos(plan: Plan, job: Job, out: Path) -> tuple[str, int]:
    from cdred import demos
    from cdred.envs.tasks import TASKS
    from cdred.learning import training

    device = _device(plan.config)
    source, entry = job.inputs[0], plan.config.demos[job.entry]
    agent = training.load(plan.root / source.path).to(device)
    length = TASKS[job.task].episode_length
    with Progress(f"demos {job.task} {job.entry}", length) as p:
        episodes = demos.collect(agent, job.task, entry.episodes, entry.seed, p)
    expert = manifest.hash_file(plan.root / source.path / manifest.NAME)
    demos.write(out, episodes, f"{job.task}/{job.entry}-v0", {"expert": expert})
    returns = [e.episode_return for e in episodes]
    logger.info(
        f"{len(returns)} episodes, return {sum(returns) / len(returns):.1f} "
        f"({min(returns):.1f} to {max(returns):.1f})"
    )
    return _device_kind(device), sum(len(e.action) for e in episodes)


def _evaluate(plan: Plan, job: Job, out: Path) -> tuple[str, int]:
    from cdred import evaluation
    from cdred.envs.tasks import TASKS
    from cdred.learning import training

    device, chosen = _device(plan.config), plan.config.evaluation
    agent = training.load(plan.root / job.inputs[0].path).to(device)
    with Progress(f"evaluate {job.task} {job.entry}", TASKS[job.task].episode_length) as p:
        episodes = evaluation.evaluate(agent, job.task, chosen.episodes, chosen.seed, p)
    found = evaluation.results(agent, job.task, episodes)
    evaluation.write(out, found)
    logger.info(f"return {found['return_mean']:.1f} over {len(episodes)} episodes")
    return _device_kind(device), sum(len(e.action) for e in episodes)


def _report(plan: Plan, job: Job, out: Path) -> tuple[str, int]:
    from cdred import report

    report.write(plan, job, out)
    return "cpu", 0


_WORK: dict[str, Callable[[Plan, Job, Path], tuple[str, int]]] = {
    "expert": _train,
    "demos": _demos,
    "imitate": _train,
    "evaluate": _evaluate,
    "report": _report,
}
