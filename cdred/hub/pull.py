"""Pulling what others published with cdred on the Hugging Face Hub: whole, checked, never executed.

A repository is what its publication.json says: the files of one artifact and the manifests of all
that it was made from, by hash. A pulled one stays in the Hub client's cache, so that the next time
needs no network.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

from cdred import documents, hub_client, manifest, network
from cdred.documents import Document, Name, Seed, Sha256
from cdred.errors import FULL, CdredError, reason
from cdred.hub_client import repeated
from cdred.plan.lineage import Manifests, check_derivation, check_identity

PUBLICATION = "publication.json"
CARD = "README.md"
UNLISTED = {PUBLICATION, CARD}
# Weights are safetensors, demonstrations Minari's HDF5, the rest is text, figures and films.
SUFFIXES = {
    ".csv", ".hdf5", ".json", ".lock", ".mp4", ".parquet", ".safetensors", ".svg", ".yaml",
}  # fmt: skip
# The stage of each kind of publication, its kind of repository, and what its artifact must hold.
KINDS = {
    "expert": ("expert", "model", ("config.json", "model.safetensors")),
    "demonstrations": ("demos", "dataset", ("data/main_data.hdf5", "episodes.csv")),
    "agent": ("imitate", "model", ("config.json", "model.safetensors")),
}
FROM_CHECKOUT = ("params.yaml", "requirements.lock")
# Where artifacts keep what PyTorchModelHubMixin looks for at the top of a repository.
WEIGHTS = "pretrained_model/"


# What the Hub shows beside a model for reinforcement learning, and tables it shows of a dataset.
REPLAY, TABLE = "replay.mp4", "steps.parquet"


def place(name: str) -> str:
    """The place of an artifact's file in its repository."""
    return REPLAY if name == manifest.VIDEO else name.removeprefix(WEIGHTS)


class Publication(Document):
    """The content of publication.json."""

    format: Literal[1]
    release: Annotated[str, Field(max_length=200)]
    kind: Literal["expert", "demonstrations", "agent"]
    artifact: Name
    task: Annotated[str, Field(max_length=200)]
    entry: Name
    seed: Seed
    digest: Sha256
    lineage: list[Name]
    files: dict[Name, Sha256] = Field(min_length=1)


class OtherContentsError(CdredError):
    """A repository whose files are not as it states them."""


@dataclass(frozen=True)
class Pulled:
    """A repository at one commit, in a folder whose every byte is as its publication states."""

    repository: str
    kind: str  # "model" or "dataset"
    commit: str
    folder: Path

    @cached_property
    def publication(self) -> Publication:
        return documents.read(self.folder / PUBLICATION, Publication)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return manifest.load(self.folder)

    @cached_property
    def lineage(self) -> Manifests:
        """The manifests of its inputs and evaluation, by the path of the artifact."""
        return {
            path: manifest.load(self.folder / "lineage" / path)
            for path in map(_artifact, self.publication.lineage)
        }

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The manifest of its evaluation; None without one."""
        of_it = (m for m in self.lineage.values() if self.publication.artifact in m["inputs"])
        return next((m for m in of_it if m["stage"] == "evaluate"), None)


def _artifact(name: str) -> str:
    """The path of the artifact whose manifest a publication holds as `name`."""
    return name.removeprefix("lineage/").removesuffix(f"/{manifest.NAME}")


def pull(repository: str, kind: str, revision: str | None = None) -> Pulled:
    """Pull what was published as `repository` at `revision`: a commit, tag or branch (default:
    main).

    Raises CdredError when it cannot be had, was not published by cdred, holds a file of a kind
    that may execute code, or one that differs from its hash.
    """
    where = f"{repository}@{revision}" if revision else repository
    with one_line(where, kind):
        import huggingface_hub

        here = huggingface_hub.try_to_load_from_cache(
            repository, PUBLICATION, repo_type=kind, revision=revision
        )
    try:
        return _pull(where, repository, kind, revision)
    except OtherContentsError as exc:
        if not isinstance(here, str):
            raise
        try:  # the copy in the cache may be damaged
            return _pull(where, repository, kind, revision, again=True)
        except CdredError:
            raise exc from None


def _pull(
    where: str, repository: str, kind: str, revision: str | None, again: bool = False
) -> Pulled:  # fmt: skip
    """Pull, `again` also what is in the Hub client's cache."""
    import huggingface_hub

    with one_line(where, kind):
        fetch = partial(
            huggingface_hub.hf_hub_download, repository, PUBLICATION, repo_type=kind,
            revision=revision, force_download=again,
        )  # fmt: skip
        folder = Path(repeated(fetch)).parent  # of a snapshot in the cache, named by its commit
    commit = folder.name
    names = _names(where, kind, folder)
    if again or not all((folder / name).exists() for name in names):
        at = {"repo_type": kind, "revision": commit}
        with one_line(where, kind):
            listed = repeated(partial(huggingface_hub.HfApi().list_repo_files, repository, **at))
            other = sorted(set(listed) - set(names) - UNLISTED)
            if other := [name for name in other if not manifest.is_hidden(name)]:
                raise CdredError(f"{where}: {other[0]}: not listed in its {PUBLICATION}; refused")
            fetch = partial(
                huggingface_hub.snapshot_download, repository, **at,
                allow_patterns=[*names, CARD], force_download=again,
            )  # fmt: skip
            repeated(fetch)
    pulled = Pulled(repository, kind, commit, folder)
    _check(where, pulled)
    return pulled


def _names(where: str, kind: str, folder: Path) -> list[str]:
    """The files that a publication lists. Raises CdredError unless it is one, of this kind of
    repository, and all of them are of harmless kinds."""
    with _refused(where, folder):
        publication = documents.read(folder / PUBLICATION, Publication)
        if kind != KINDS[publication.kind][1]:
            raise CdredError(f"{PUBLICATION}: kind: {publication.kind}, in a {kind} repository")
        for name in publication.lineage:
            if name != f"lineage/{_artifact(name)}/{manifest.NAME}":
                raise CdredError(f"{PUBLICATION}: lineage: {name} is no artifact's manifest")
        names = [*publication.files]
        if missing := {manifest.NAME, *publication.lineage} - set(names):
            raise CdredError(f"{PUBLICATION}: does not list {min(missing)}")
        for name in names:
            if PurePosixPath(name).suffix not in SUFFIXES:
                kinds = ", ".join(sorted(SUFFIXES))
                raise CdredError(f"{name}: of what cdred publishes all is {kinds}")
    return names


def _check(where: str, pulled: Pulled) -> None:
    """Refuse a repository, with a CdredError, any file of which is not what its publication, the
    manifest of its artifact, or that of its evaluation states."""
    expected = pulled.publication.files
    for name, sha256 in expected.items():
        file = pulled.folder / name
        if not file.exists():
            raise OtherContentsError(
                f"{where}: {name}: missing; pull it again where there is a network"
            )
        with _refused(where, pulled.folder):
            if manifest.hash_file(file) != sha256:
                raise CdredError(f"{name}: differs from its hash in {PUBLICATION}")
    with _refused(where, pulled.folder):
        _check_manifests(pulled)
        stated = dict.fromkeys((manifest.NAME, *pulled.publication.lineage, *FROM_CHECKOUT), "")
        stated |= {place(name): sha256 for name, sha256 in pulled.manifest["files"].items()}
        if pulled.evaluation is not None:
            files = pulled.evaluation["files"]
            own = (manifest.EVALUATION, manifest.VIDEO)
            shown = {place(name): files[name] for name in own if name in files}
            if REPLAY in shown and REPLAY not in expected:  # its name before version 0.2
                shown[manifest.VIDEO] = shown.pop(REPLAY)
            stated |= shown
        for name in sorted(expected.keys() | stated.keys() - set(FROM_CHECKOUT)):
            if name not in stated and name != TABLE and not name.startswith("figures/"):
                raise CdredError(f"{name}: no manifest states it")
            if stated.get(name) and stated[name] != expected.get(name):
                raise CdredError(f"{name}: differs from its manifest")


def _check_manifests(pulled: Pulled) -> None:
    """Refuse manifests, with a CdredError, that are not those of the artifact and of all that it
    was made from, each as the next was made from it."""
    publication, own, lineage = pulled.publication, pulled.manifest, pulled.lineage
    stage, _, needed = KINDS[publication.kind]
    stated = {"stage": stage} | publication.model_dump(include={"task", "entry", "seed", "digest"})
    for key, value in stated.items():
        if own[key] != value:
            raise CdredError(f"{manifest.NAME}: {key}: {own[key]}, {PUBLICATION} states {value}")
    files = {place(name) for name in own["files"]}
    if lacking := [name for name in needed if name not in files]:
        raise CdredError(f"{manifest.NAME}: files: lacks {lacking[0]}")
    if publication.artifact in lineage:
        raise CdredError(f"{PUBLICATION}: lineage: holds {publication.artifact} itself")
    known = {publication.artifact: own} | lineage
    at = {path: f"lineage/{path}/{manifest.NAME}" for path in lineage}
    at[publication.artifact] = manifest.NAME
    for path, one in known.items():
        check_identity(path, one)
        for name, sha256 in one["inputs"].items():
            if name not in known or publication.files[at[name]] != sha256:
                raise CdredError(f"{at[path]}: made from another {name} than the one listed")
        check_derivation(at[path], one, known)


@contextlib.contextmanager
def _refused(where: str, folder: Path) -> Iterator[None]:
    """Name the repository in what is wrong with its files."""
    try:
        yield
    except CdredError as exc:
        text = str(exc).removeprefix(f"{folder}/")
        raise OtherContentsError(f"{where}: {text}; refused") from None


@contextlib.contextmanager
def one_line(where: str, kind: str) -> Iterator[None]:
    """Replace the Hub client's errors by one line with a remedy.

    Raises CdredError in their place.
    """
    hub = network.hub()
    import httpx2
    from huggingface_hub import constants, errors
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # else it warns of each attempt
    try:
        with hub_client.bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a disk on which little is left
            yield
    except errors.RevisionNotFoundError:
        raise CdredError(f"{where}: has no such branch, tag or commit") from None
    except errors.RepositoryNotFoundError as exc:
        other = "a dataset" if kind == "model" else "a model"
        why = (
            "the token of HF_TOKEN or `hf auth login` is not valid there"
            if "credentials" in (exc.server_message or "")
            else f"no such {kind} is there for you; is it {other}, or private?"
        )
        raise CdredError(f"{where}: {hub}: {why}") from None
    except errors.LocalEntryNotFoundError as exc:
        if isinstance(exc.__cause__, errors.HfHubHTTPError):
            raise CdredError(
                f"{where}: not here yet, and {hub}: {_answer(exc.__cause__)}"
            ) from None
        raise CdredError(
            f"{where}: not here yet, and {hub} cannot be reached; pull it where there is a network"
        ) from None
    except errors.EntryNotFoundError:
        raise CdredError(f"{where}: has no {PUBLICATION}: not published by cdred") from None
    except errors.LocalTokenNotFoundError:
        raise CdredError(
            f"{where}: {hub} wants a token: set HF_TOKEN (inside a container too) or run "
            f"`hf auth login`"
        ) from None
    except errors.HFValidationError:
        raise CdredError(f"{where}: not the name of a repository, NAMESPACE/NAME") from None
    except errors.HfHubHTTPError as exc:
        raise CdredError(f"{where}: {hub}: {_answer(exc)}") from None
    except (httpx2.TransportError, errors.OfflineModeIsEnabled, ConnectionError) as exc:
        raise CdredError(f"{where}: {hub} cannot be reached: {reason(exc)}") from None
    except json.JSONDecodeError:
        raise CdredError(f"{where}: {hub}: answers with a page instead of data") from None
    except OSError as exc:  # of the file system
        if exc.filename is None and exc.errno in FULL:
            exc.filename = constants.HF_HUB_CACHE
        raise CdredError(f"{where}: {reason(exc)}") from None
    except hub_client.RefusedError as exc:
        raise CdredError(f"{where}: {hub}: {exc}") from None
    except CdredError:
        raise
    except Exception as exc:  # of whatever speaks HTTP, also through a proxy
        raise CdredError(f"{where}: {hub}: {reason(exc)}") from None
    finally:
        logging.set_verbosity(level)


def _answer(exc: Any) -> str:
    """The message of an answer of the Hub that is an error."""
    status = exc.response.status_code
    reads = exc.response.request.method in ("GET", "HEAD")
    hint = {
        401: "a token is missing or not valid: set HF_TOKEN or run `hf auth login`",
        403: f"the token may not {'read' if reads else 'write'} there",
        429: "too many requests; the same command goes on later",
    }.get(status, exc.server_message or reason(exc))
    return f"{hint} (HTTP {status})"
