"""`cdred publish`: finished demonstrations and agents as repositories of the Hugging Face Hub.

A repository holds one artifact with its card, results, figures and the manifests of all that it was
made from. It is written to a folder first (which is all that a dry run does), then uploaded in one
commit and tagged with the release. Each is complete in itself, and comes after those it links to.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cdred import __version__, manifest
from cdred.envs.tasks import file_name
from cdred.errors import CdredError
from cdred.hub import cards, steps_table
from cdred.hub.pull import CARD, FROM_CHECKOUT, PUBLICATION, TABLE, one_line, place
from cdred.learning import results
from cdred.plan import Job, Plan
from cdred.plan.lineage import Manifests, chain

KINDS = {"expert": "expert", "demos": "demonstrations", "imitate": "agent"}
NOBODY = "NAMESPACE"  # stands for the namespace in a dry run without one
ATTEMPTS, WAIT = 4, 1.0  # of calls that the Hub client does not repeat itself; seconds, doubled


@dataclass(frozen=True)
class Repository:
    """The repository that an artifact becomes, or that it was pulled from (`known`)."""

    job: Job
    namespace: str
    known: str | None = None

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
        return f"https://huggingface.co/{'datasets/' * (self.kind == 'dataset')}{self.name}"


def choose(plan: Plan, artifacts: list[Path], dry_run: bool = False) -> list[Repository]:
    """Choose what to publish for `artifacts` (default: all agents of the experiment): they and all
    that they were made from, inputs first. A dry run goes without a namespace.

    Raises CdredError when there is no namespace, an artifact is not one of the experiment, or the
    Hub would not take a name.
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
    needed = {job.path: job for one in chosen for job in _with_inputs(one)}
    return [
        _named(Repository(job, namespace)) for job in needed.values() if _publishable(plan, job)
    ]


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
    if job.stage == "expert":
        return plan.config.experts[job.entry].source in ("train", "checkpoint")
    return job.stage != "demos" or plan.config.demos[job.entry].source != "hub"


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

    links = {relation: other.url for relation, other in _links(plan, one)}
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


def _links(plan: Plan, one: Repository) -> Iterator[tuple[str, Repository]]:
    """The inputs of an artifact, and the artifacts of the experiment that were made from it:
    whether published or not, since a release must not depend on what else is published with it."""
    for source in list(_with_inputs(one.job))[:-1]:
        if (other := _repository(plan, source, one.namespace)) is not None:
            yield KINDS[source.stage], other
    for job in plan.jobs:
        if job.stage in KINDS and one.job in list(_with_inputs(job))[:-1]:
            seed = f" seed {job.seed}" * (job.stage == "imitate")
            yield f"{KINDS[job.stage]} {job.entry}{seed}", Repository(job, one.namespace)


def _repository(plan: Plan, job: Job, namespace: str) -> Repository | None:
    """The repository of a job that is or will be on the Hub, if there is one."""
    tables: dict[str, dict[str, Any]] = {
        "expert": plan.config.experts, "demos": plan.config.demos, "imitate": {},
    }  # fmt: skip
    entry = tables[job.stage].get(job.entry)
    if entry is not None and entry.source == "hub":
        return Repository(job, namespace, entry.checkpoint if job.stage == "expert" else entry.path)
    return Repository(job, namespace) if _publishable(plan, job) else None


def upload(plan: Plan, chosen: list[Repository], folders: list[Path], release: str,
           say: Callable[[str], None]) -> None:  # fmt: skip
    """Upload the folders: one commit and one tag each, nothing where that release is there already.

    An upload that was cut off goes on when the same is asked for again. Raises CdredError, before
    anything is uploaded, when the token, a name or an existing release stands in the way.
    """
    with one_line("publish", "model"):
        import huggingface_hub

        api = huggingface_hub.HfApi()
        repeated(api.whoami)
    missing = [_missing(api, one, folder, release) for one, folder in
               zip(chosen, folders, strict=True)]  # fmt: skip
    done: list[str] = []
    for one, folder, needed in zip(chosen, folders, missing, strict=True):
        if not needed:
            say(f"unchanged   {one.name} {release}: {one.url}")
            continue
        try:
            with one_line(one.name, one.kind):
                _upload(api, one, folder, release, plan.config.hub.private)
        except CdredError as exc:
            before = f"; published before it: {', '.join(done)}" if done else ""
            raise CdredError(f"{exc}; the same command goes on{before}") from None
        done.append(one.name)
        say(f"published   {one.name} {release}: {one.url}")


def _upload(api: Any, one: Repository, folder: Path, release: str, private: bool) -> None:
    name, kind = one.name, one.kind
    repeated(partial(api.create_repo, name, repo_type=kind, private=private, exist_ok=True))
    commit = repeated(
        partial(
            api.upload_folder, repo_id=name, repo_type=kind, folder_path=folder,
            commit_message=f"{release}: {one.job.path}", delete_patterns="*",
        )
    )  # fmt: skip
    revision = {"revision": commit.oid} if commit.oid else {}
    repeated(partial(api.create_tag, name, repo_type=kind, tag=release, exist_ok=True, **revision))


def _missing(api: Any, one: Repository, folder: Path, release: str) -> bool:
    """Tell whether the release is to be made. Raises CdredError when another one has its name."""
    from huggingface_hub import errors, hf_hub_download

    ask = partial(api.repo_info, one.name, repo_type=one.kind, revision=release)
    with one_line(one.name, one.kind):
        try:
            commit = repeated(ask).sha
        except errors.RevisionNotFoundError:
            if not _has_others_contents(api, one):
                return True
            raise CdredError(
                f"{one.name}: a {one.kind} of this name is there that cdred did not "
                f"publish; rename it, or the entry in params.yaml"
            ) from None
        except errors.RepositoryNotFoundError:
            return True
        published = repeated(
            partial(hf_hub_download, one.name, PUBLICATION, repo_type=one.kind, revision=commit)
        )
    if Path(published).read_bytes() != (folder / PUBLICATION).read_bytes():
        raise CdredError(
            f"{one.name}: release {release} is there with other contents; name the new one "
            f"by --release"
        )
    return False


def _has_others_contents(api: Any, one: Repository) -> bool:
    """Tell whether a repository has contents that cdred did not publish."""
    files = repeated(partial(api.list_repo_files, one.name, repo_type=one.kind))
    return PUBLICATION not in files and bool(set(files) - {".gitattributes"})


def repeated(call: Callable[[], Any]) -> Any:
    """Call, and call again while the Hub is overloaded or the connection is cut.

    The client repeats some requests by itself, but neither of those that create a repository, a
    commit or a tag; all of them may be made twice without harm.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(ATTEMPTS):
        try:
            return call()
        except HfHubHTTPError as exc:
            status = exc.response.status_code
            if attempt == ATTEMPTS - 1 or not (status == 429 or status >= 500):
                raise
        # JSON: the client takes a gateway's page of HTML for the answer to a card's validation.
        except (httpx2.TransportError, json.JSONDecodeError):
            if attempt == ATTEMPTS - 1:
                raise
        time.sleep(WAIT * 2**attempt)
    raise AssertionError("unreachable")
