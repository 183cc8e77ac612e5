"""`cdred publish`: finished demonstrations and agents as repositories of the Hugging Face Hub.

A repository holds one artifact with its card, results, figures and the manifests of all that it was
made from. It is written to a folder first, which is all that a dry run does; `cdred.hub.upload` has
the rest. Each is complete in itself, and comes after those that it was made from.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdred import __version__, manifest
from cdred.envs.tasks import file_name
from cdred.errors import CdredError
from cdred.hub import cards, steps_table
from cdred.hub.pull import CARD, FROM_CHECKOUT, PUBLICATION, TABLE, place
from cdred.learning import results
from cdred.plan import Job, Plan
from cdred.plan.lineage import Manifests, chain

KINDS = {"expert": "expert", "demos": "demonstrations", "imitate": "agent"}
NOBODY = "NAMESPACE"  # stands for the namespace in a dry run without one
RELEASE = re.compile(
    r"(?!main$|[0-9a-f]{40}$|.*\.\.|.*\.lock$)[A-Za-z0-9](?:[\w.+-]{0,98}[\w+-])?", re.A
)


@dataclass(frozen=True)
class Repository:
    """The repository that an artifact becomes, or that it was pulled from (`known`), at a
    `revision` if a link is to lead there."""

    job: Job
    namespace: str
    known: str | None = None
    revision: str | None = None

    @property
    def kind(self) -> str:
        """The Hub's kind of repository."""
        return "dataset" if self.job.stage == "demos" else "model"

    @property
    def name(self) -> str:
        """NAMESPACE/NAME."""
        if self.known is not None:
            return self.known
        seed = f"-seed-{self.job.seed}" if self.job.stage == "imitate" else ""
        return f"{self.namespace}/cdred-{file_name(self.job.task)}-{self.job.entry}{seed}"

    @property
    def url(self) -> str:
        of_kind = "datasets/" * (self.kind == "dataset")
        at = f"/tree/{self.revision}" if self.revision else ""
        return f"https://huggingface.co/{of_kind}{self.name}{at}"


def check_release(release: str) -> None:
    """Raises CdredError unless a release is a name that git and the Hub take for a tag, and that
    does not look like what moves or like a commit."""
    if not RELEASE.fullmatch(release):
        raise CdredError(
            f"--release {release}: not a release: up to 100 letters, digits and '.', '_', '+' or "
            f"'-', such as v1; not main, nor a commit"
        )


def choose(plan: Plan, artifacts: list[Path], dry_run: bool = False) -> list[Repository]:
    """Choose what to publish for `artifacts` (default: all agents of the experiment): they and all
    that they were made from, inputs first. A dry run goes without a namespace.

    Raises CdredError when there is no namespace, an artifact is not one of the experiment or never
    published, the Hub would not take a name, or two artifacts would have the same.
    """
    namespace = plan.config.hub.namespace or (NOBODY if dry_run else None)
    if namespace is None:
        raise CdredError(
            "params.yaml: hub.namespace: missing: the user or organisation of the Hub to publish as"
        )
    chosen = [job for job in plan.jobs if job.stage == "imitate"]
    if artifacts:
        by_path = {job.path: job for job in plan.jobs if job.stage in KINDS}
        for path in artifacts:
            if path not in by_path:
                raise CdredError(
                    f"{path}: not an expert, demonstrations or an agent of experiment "
                    f"{plan.config.experiment.name!r}; `cdred status` lists its artifacts"
                )
        chosen = [by_path[path] for path in artifacts]
        for job in chosen:
            if not _publishable(plan, job):
                raise CdredError(f"{job.path}: not to be published: {_why_not(plan, job)}")
    _check_distinct(plan, namespace)
    needed = {job.path: job for one in chosen for job in _with_inputs(one)}
    return [
        _named(Repository(job, namespace)) for job in needed.values() if _publishable(plan, job)
    ]


def _check_distinct(plan: Plan, namespace: str) -> None:
    """Raises CdredError when two artifacts of the experiment would be the same repository: links
    name also what is not published with the rest."""
    known: dict[tuple[str, str], Job] = {}
    for job in plan.jobs:
        if job.stage in KINDS and _publishable(plan, job):
            one = Repository(job, namespace)
            other = known.setdefault((one.kind, one.name), job)
            if other is not job:
                raise CdredError(
                    f"{other.path} and {job.path} would both be {one.name} on the Hub: rename an "
                    f"entry in params.yaml"
                )


def _named(one: Repository) -> Repository:
    """A publication whose name is one of the Hub, and so of a folder too. Raises CdredError."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(one.name)
    except HFValidationError:
        raise CdredError(
            f"{one.name}: not a name of the Hub, which has 96 characters at most: letters, "
            f"digits, and single '-', '_' or '.' between them; rename the entry in params.yaml"
        ) from None
    return one


def _with_inputs(job: Job) -> Iterator[Job]:
    for source in job.inputs:
        yield from _with_inputs(source)
    yield job


def _publishable(plan: Plan, job: Job) -> bool:
    """Tell whether an artifact can be published: scripted experts have no weights, and what came
    from the Hub is there already."""
    return job.stage == "imitate" or _entry(plan, job).source not in ("scripted", "hub")


def _why_not(plan: Plan, job: Job) -> str:
    """The reason why an artifact is not publishable."""
    if _entry(plan, job).source == "scripted":
        return "a scripted expert, which has no weights"
    return f"it came from the Hub, {_repository(plan, job, '', '').name}"


def _entry(plan: Plan, job: Job) -> Any:
    """The entry of an expert or of demonstrations in params.yaml."""
    table: dict[str, Any] = plan.config.experts if job.stage == "expert" else plan.config.demos
    return table[job.entry]


def write(plan: Plan, chosen: list[Repository], release: str, out: Path) -> list[Path]:
    """Write each repository's files to its own complete folder, OUT/REPOSITORY.

    Raises CdredError before anything is written when an artifact is missing, stale or damaged.
    """
    checked = [_checked(plan, one) for one in chosen]
    folders = []
    for one, (manifests, evaluation) in zip(chosen, checked, strict=True):
        folder = out / one.name
        present = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        if PUBLICATION not in present and not all(map(manifest.is_hidden, present)):
            raise CdredError(f"{folder}: not written by cdred publish; choose another --out")
        aside = folder.with_name(f".{folder.name}.partial")  # only a whole one takes its place
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        _write(plan, one, manifests, evaluation, release, aside)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
        folders.append(folder)
    return folders


def _checked(plan: Plan, one: Repository) -> tuple[Manifests, Job | None]:
    """The manifests of an artifact's chain, all intact, and the job of its evaluation."""
    evaluation = None
    if one.kind == "model":
        evaluation = plan.evaluate(one.job)
    for job in (one.job, evaluation, plan.report):
        if job is not None and not job.up_to_date(plan.root):
            raise CdredError(
                f"{job.path}: not up to date; `snakemake --cores all` or `dvc repro` makes it"
            )
    manifests = chain(plan.root, one.job.path.as_posix())
    if evaluation is not None:
        chain(plan.root, evaluation.path.as_posix(), manifests)
    return manifests, evaluation


def _write(
    plan: Plan, one: Repository, manifests: Manifests, evaluation: Job | None,
    release: str, folder: Path,
) -> None:  # fmt: skip
    source = plan.root / one.job.path

    def copy(file: Path, name: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)

    for name in [*manifests[one.job.path.as_posix()]["files"], manifest.NAME]:
        copy(source / name, place(name))
    lineage = []
    for path in manifests:
        if path != one.job.path.as_posix():
            lineage.append(f"lineage/{path}/{manifest.NAME}")
            copy(plan.root / path / manifest.NAME, lineage[-1])
    if evaluation is not None:
        for name in (results.FILE, results.VIDEO):
            if (plan.root / evaluation.path / name).exists():
                copy(plan.root / evaluation.path / name, place(name))
    if one.job.stage == "demos":
        obs = plan.config.demos[one.job.entry].obs
        steps_table.write(source, one.job.task, obs, folder / TABLE)
    for figure in sorted((plan.root / plan.report.path).glob("[!.]*.svg")):
        copy(figure, f"figures/{figure.name}")
    for name in FROM_CHECKOUT:
        copy(plan.root / name, name)

    links = {relation: other.url for relation, other in _links(plan, one, release)}
    publication = {
        "format": 1, "cdred": __version__, "release": release, "kind": KINDS[one.job.stage],
        "repository": one.name, "experiment": plan.config.experiment.name,
        "artifact": one.job.path.as_posix(), "task": one.job.task, "entry": one.job.entry,
        "seed": one.job.seed, "digest": one.job.digest,
        "command": f"snakemake --cores all {one.job.path / manifest.NAME}",
        "links": links, "lineage": lineage,
        "files": manifest.hash_tree(folder) | {
            manifest.NAME: manifest.hash_file(folder / manifest.NAME)
        },
    }  # fmt: skip
    text = json.dumps(publication, indent=1, sort_keys=True)
    (folder / PUBLICATION).write_text(text + "\n", encoding="utf-8")
    card = cards.card(plan, one.job, publication, folder)
    (folder / CARD).write_text(card, encoding="utf-8")


def _links(plan: Plan, one: Repository, release: str) -> Iterator[tuple[str, Repository]]:
    """The inputs of an artifact, at the release or commit that it was made from, and the artifacts
    of the experiment that were made from it: whether published or not, since a release must not
    depend on what else is published with it."""
    for source in list(_with_inputs(one.job))[:-1]:
        if source.stage == "imitate" or _entry(plan, source).source != "scripted":
            yield KINDS[source.stage], _repository(plan, source, one.namespace, release)
    for job in plan.jobs:
        if job.stage in KINDS and one.job in list(_with_inputs(job))[:-1]:
            seed = f" seed {job.seed}" * (job.stage == "imitate")
            yield f"{KINDS[job.stage]} {job.entry}{seed}", Repository(job, one.namespace)


def _repository(plan: Plan, job: Job, namespace: str, release: str) -> Repository:
    """The repository that a job's artifact comes from, or that it becomes by this release."""
    if job.stage != "imitate" and (entry := _entry(plan, job)).source == "hub":
        known = entry.checkpoint if job.stage == "expert" else entry.path
        return Repository(job, namespace, known, entry.revision)
    return Repository(job, namespace, revision=release)
