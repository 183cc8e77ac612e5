"""DVC's view of the plan: dvc.yaml, one stage a job, the digests it compares, and its cache.

dvc.yaml is written from params.yaml because DVC's templates cannot say what the graph needs: that a
run reads the demonstrations its own entry names, that only experts in use are trained, and that the
report reads exactly the evaluations of this experiment.

The digest of each job stands in digests.yaml, as a parameter of its stage. So DVC compares what
everything else compares: code that does not matter does not matter to DVC, a default that changed
does. The first stage, `check`, writes that file, so that `dvc exp run -S`, which changes
params.yaml when dvc.yaml has been read, runs by the digests of the changed parameters.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cdred import documents, manifest
from cdred.config import PARAMS, dump_yaml
from cdred.errors import CdredError, reason
from cdred.plan import Job, Plan, dvc_lock, ownership
from cdred.plan.dvc_lock import Stage
from cdred.plan.paths import TOPS
from cdred.report.catalogue import METRICS

DVC_YAML, DIGESTS = Path("dvc.yaml"), Path("digests.yaml")
CHECK = "check"
HEADER = """\
# Written from params.yaml by `cdred use` and `dvc repro`; do not edit.
"""


def stages(plan: Plan) -> dict[str, Any]:
    """The content of dvc.yaml.

    `check` comes before everything else: it validates params.yaml, and brings dvc.yaml and the
    digests in line with it. Every other stage validates for itself as well.
    """
    outs = [{DIGESTS.as_posix(): {"cache": False}}]
    check = {"cmd": "cdred check", "deps": [PARAMS.as_posix()], "outs": outs}
    return {
        "stages": {CHECK: check} | {job.name: _stage(job) for job in plan.jobs},
        "metrics": [f"{plan.report.path.as_posix()}/{METRICS}"],
        "plots": [{task: _curves(plan, task)} for task in plan.config.experiment.tasks],
    }


def _curves(plan: Plan, task: str) -> dict[str, Any]:
    """The learning curves of a task, for `dvc plots show`."""
    experts = plan.config.experts
    curves = {
        f"{job.path.as_posix()}/curve.csv": "return_mean"
        for job in plan.jobs
        if job.task == task
        and (
            job.stage == "imitate"
            or (job.stage == "expert" and experts[job.entry].source == "train")
        )
    }
    return {"x": "step", "y": curves, "y_label": "return", "title": task}


def _stage(job: Job) -> dict[str, Any]:
    deps = [source.path.as_posix() for source in job.inputs]
    deps += job.params.get("files", {})  # a checkpoint, or others' recordings, that lie here
    params = [*job.dvc_params, {DIGESTS.as_posix(): [job.name]}]
    stage = {"cmd": job.command, "params": params, "deps": deps, "outs": [job.path.as_posix()]}
    return {key: value for key, value in stage.items() if value}


def render(plan: Plan) -> str:
    return HEADER + dump_yaml(stages(plan), width=1000)


def write(plan: Plan) -> bool:
    """Bring dvc.yaml and the digests in line with the plan; True when dvc.yaml changed."""
    digests = {job.name: job.digest for job in plan.jobs}
    _replace(plan.root / DIGESTS, dump_yaml(digests))
    return _replace(plan.root / DVC_YAML, render(plan))


def _replace(path: Path, text: str) -> bool:
    """Write a file at once or not at all; False when it holds that text already."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    documents.replace(path, content, path.with_suffix(f".yaml.{os.getpid()}"))
    return True


def check(plan: Plan) -> bool:
    """Prepare the checkout for DVC: nothing of others' stands where it would delete, and dvc.yaml
    and the digests follow params.yaml and the code. True when dvc.yaml changed."""
    for top in TOPS:
        if (plan.root / top).is_symlink():
            raise CdredError(
                f"{top}: a symbolic link, which DVC does not follow; make it a directory, and let "
                f"`dvc cache dir` name a place on the larger disk (`dvc config cache.type symlink`)"
            )
    ownership.note_present(plan.root, [job.path for job in plan.jobs])
    for job in plan.jobs:  # DVC deletes what stands where a stage writes
        ownership.check_target(plan.root, job.path)
    return write(plan)


def record(plan: Plan) -> int:
    """Enter all that the experiment made into DVC's cache and dvc.lock.

    Returns the number of artifacts. Raises CdredError on one that is stale or damaged: DVC would
    record it as well, and restore it later.
    """
    for job in plan.jobs:
        if not job.up_to_date(plan.root):
            manifest.verify(plan.root / job.path, job.command)
            raise stale_error(job)
    check(plan)
    with repository(plan.root):  # whatever stands in its way, also where nothing is to be recorded
        record_up_to_date(plan, cached=True)
    return len(plan.jobs)


def stale_error(job: Job) -> CdredError:
    return CdredError(
        f"{job.path} is stale: made from other parameters or code; "
        f"`snakemake --cores all` or `dvc repro` brings it up to date"
    )


def record_up_to_date(plan: Plan, cached: bool = False) -> None:
    """Enter what is up to date, and not so recorded yet, into DVC's cache and dvc.lock, so that
    DVC does not make it again; with `cached` also what is recorded, but not all in the cache.

    Raises CdredError on an artifact that is damaged.
    """
    if not (plan.root / ".dvc").is_dir():
        return
    lock = _Lock(plan.root)
    names = [] if lock.holds_check() else [CHECK]
    for job in plan.jobs:
        if job.up_to_date(plan.root) and not lock.holds(job, cached):
            manifest.verify(plan.root / job.path, job.command)
            names.append(job.name)
    if names:
        _commit(plan.root, names)


def _commit(root: Path, names: list[str]) -> None:
    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.WARNING)  # else a line for each stage
    try:
        with repository(root) as repo:
            for name in names:
                repo.commit(name, force=True)
    finally:
        logger.setLevel(level)


class _Lock:
    """dvc.lock, compared with plan and manifests without asking DVC, which takes seconds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stages = dvc_lock.stages(root)
        self.params = _mapping(root / PARAMS)
        self.cache = cache_of(root)

    def holds_check(self) -> bool:
        """Tell whether `check` is recorded for params.yaml and the digests as they are."""
        known = self.stages.get(CHECK, Stage())
        files = {item.path: item.md5 for item in known.deps}
        files |= {item.path: item.md5 for item in known.outs}
        return files == {path.as_posix(): _md5(self.root / path) for path in (PARAMS, DIGESTS)}

    def holds(self, job: Job, cached: bool) -> bool:
        """Tell whether the artifact there is recorded as this job's, and all in the cache."""
        known = self.stages.get(job.name, Stage())
        params = {
            PARAMS.as_posix(): {key: self._param(key) for key in job.dvc_params},
            DIGESTS.as_posix(): {job.name: job.digest},
        }
        deps = {item.path: item.md5 for item in known.deps}
        inputs = {source.path.as_posix(): self._recorded(source) for source in job.inputs}
        return (
            known.cmd == job.command
            and _comparable(known.params) == _comparable(params)
            and all(md5 is not None and deps.get(path) == md5 for path, md5 in inputs.items())
            and self._holds_manifest(job, cached)
        )

    def _param(self, key: str) -> Any:
        value: Any = self.params
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _recorded(self, job: Job) -> str | None:
        """The hash under which a job's artifact is recorded."""
        outs = self.stages.get(job.name, Stage()).outs
        return next((out.md5 for out in outs if out.path == job.path.as_posix()), None)

    def _holds_manifest(self, job: Job, cached: bool) -> bool:
        """Tell whether the recorded artifact has the manifest there, which names every byte."""
        recorded = self._recorded(job) or ""
        try:
            hashes = dvc_lock.listing(self.cache / recorded[:2] / recorded[2:])
        except CdredError:
            return False
        if cached and not all((self.cache / md5[:2] / md5[2:]).exists() for md5 in hashes.values()):
            return False
        return hashes.get(manifest.NAME) == _md5(self.root / job.path / manifest.NAME) is not None


def cache_of(root: Path) -> Path:
    """The directory of DVC's cache, which several checkouts may share."""
    with repository(root) as repo:
        return Path(repo.cache.local.path)


@contextlib.contextmanager
def repository(root: Path) -> Iterator[Any]:
    """DVC's view of a checkout. Raises CdredError with its reason for whatever DVC cannot do."""
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            yield repo
    except CdredError:
        raise
    except Exception as exc:  # of DVC, git, and whatever speaks a remote's protocol
        raise CdredError(f"dvc: {reason(exc)}") from None


def _comparable(value: Any) -> Any:
    """Plain data in which a number is a number however it is written: DVC writes 1e-3 as 0.001,
    and what this YAML reader takes for text."""
    if isinstance(value, dict):
        return {str(key): _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = dvc_lock.load(path.read_text(encoding="utf-8"))
    except Exception:  # of whatever is wrong with a file that others wrote
        return {}
    return content if isinstance(content, dict) else {}


def _md5(path: Path) -> str | None:
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return None
