"""Pulling what others published with cdred on the Hugging Face Hub: whole, checked, never executed.

A repository is what its publication.json says: the files of one artifact and the manifests of all
that it was made from, by hash. A pulled one stays in the Hub client's cache, so that the next time
needs no network.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from cdred import manifest
from cdred.errors import CdredError

PUBLICATION = "publication.json"
CARD = "README.md"
UNLISTED = {PUBLICATION, CARD, ".gitattributes"}
# Weights are safetensors, demonstrations Minari's HDF5, the rest is text, figures and films.
SUFFIXES = {".csv", ".hdf5", ".json", ".lock", ".mp4", ".safetensors", ".svg", ".yaml"}
# Where artifacts keep what PyTorchModelHubMixin looks for at the top of a repository.
WEIGHTS = "pretrained_model/"


def place(name: str) -> str:
    """The place of an artifact's file in its repository."""
    return name.removeprefix(WEIGHTS)


@dataclass(frozen=True)
class Pulled:
    """A repository at one commit, in a folder whose every byte is as its publication states."""

    repository: str
    kind: str  # "model" or "dataset"
    commit: str
    folder: Path

    @cached_property
    def publication(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / PUBLICATION).read_text(encoding="utf-8")))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        own = manifest.read(self.folder)
        assert own is not None, "checked by pull"
        return own

    def lineage(self, stage: str) -> dict[str, Any] | None:
        """The manifest of its input made by `stage`, or of its evaluation; None without one."""
        for path in self.publication["lineage"]:
            above = json.loads((self.folder / path).read_text(encoding="utf-8"))
            if above["stage"] == stage:
                return dict(above)
        return None


def pull(repository: str, kind: str, revision: str | None = None) -> Pulled:
    """Pull what was published as `repository` at `revision`: a commit, tag or branch (default:
    main).

    Raises CdredError when it cannot be had, was not published by cdred, holds a file of a kind
    that may execute code, or one that differs from its hash.
    """
    import huggingface_hub

    where = f"{repository}@{revision}" if revision else repository
    with one_line(where, kind):
        first = huggingface_hub.hf_hub_download(
            repository, PUBLICATION, repo_type=kind, revision=revision
        )
    folder = Path(first).parent  # of a snapshot in the cache, named by its commit
    commit = folder.name
    names = _names(where, folder)
    if not all((folder / name).exists() for name in names):
        with one_line(where, kind):
            listed = huggingface_hub.HfApi().list_repo_files(
                repository, repo_type=kind, revision=commit
            )
            if other := sorted(set(listed) - set(names) - UNLISTED):
                raise CdredError(f"{where}: {other[0]}: not listed in its {PUBLICATION}; refused")
            huggingface_hub.snapshot_download(
                repository, repo_type=kind, revision=commit, allow_patterns=[*names, CARD]
            )
    pulled = Pulled(repository, kind, commit, folder)
    _check(where, pulled)
    return pulled


def folder_of(root: Path, name: str, revision: str | None) -> Path:
    """The folder of an agent: the directory `name` in `root`, or what was published as `name`.

    Raises CdredError when it is neither, or cannot be had.
    """
    if (root / name).is_dir():
        return root / name
    if revision is None:
        raise CdredError(
            f"checkpoint {name}: no such directory; for a model on the Hub name its `revision` as "
            f"well, as its main branch may move"
        )
    return pull(name, "model", revision).folder


def _names(where: str, folder: Path) -> list[str]:
    """The files that a publication lists. Raises CdredError unless all are of harmless kinds."""
    try:
        publication = json.loads((folder / PUBLICATION).read_text(encoding="utf-8"))
        names = [*publication["files"]]
        lineage = publication["lineage"]
    except (ValueError, KeyError, TypeError):
        raise CdredError(f"{where}: {PUBLICATION}: not one of cdred's; refused") from None
    if missing := {manifest.NAME, *lineage} - set(names):
        raise CdredError(f"{where}: {PUBLICATION}: does not list {min(missing)}; refused")
    for name in names:
        path = PurePosixPath(name)
        if path.suffix not in SUFFIXES or path.is_absolute() or ".." in path.parts:
            kinds = ", ".join(sorted(SUFFIXES))
            raise CdredError(f"{where}: {name}: refused; of what cdred publishes all is {kinds}")
    return names


def _check(where: str, pulled: Pulled) -> None:
    expected = pulled.publication["files"]
    for name, sha256 in expected.items():
        file = pulled.folder / name
        if not file.exists():
            raise CdredError(f"{where}: {name}: missing; pull it again where there is a network")
        if manifest.hash_file(file) != sha256:
            raise CdredError(f"{where}: {name}: differs from its hash in {PUBLICATION}; refused")
    own = manifest.read(pulled.folder)
    if own is None:
        raise CdredError(f"{where}: {manifest.NAME}: not an artifact's manifest; refused")
    for name, sha256 in own["files"].items():
        if expected.get(place(name)) != sha256:
            raise CdredError(f"{where}: {place(name)}: differs from its manifest; refused")


@contextlib.contextmanager
def one_line(where: str, kind: str) -> Iterator[None]:
    """Replace the Hub client's errors by one line with a remedy.

    Raises CdredError in their place.
    """
    import httpx2
    from huggingface_hub import errors
    from huggingface_hub.utils import logging

    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # else it warns of each attempt
    try:
        yield
    except errors.RevisionNotFoundError:
        raise CdredError(f"{where}: has no such branch, tag or commit") from None
    except errors.RepositoryNotFoundError as exc:
        other = "a dataset" if kind == "model" else "a model"
        reason = (
            "the token of HF_TOKEN or `hf auth login` is not valid there"
            if "credentials" in (exc.server_message or "")
            else f"no such {kind} is there for you; is it {other}, or private?"
        )
        raise CdredError(f"{where}: {hub}: {reason}") from None
    except errors.LocalEntryNotFoundError:
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
        status = exc.response.status_code
        hint = {
            401: "a token is missing or not valid: set HF_TOKEN or run `hf auth login`",
            403: "the token may not write there",
            429: "too many requests; the same command goes on later",
        }.get(status, exc.server_message or _said(exc))
        raise CdredError(f"{where}: {hub}: {hint} (HTTP {status})") from None
    except (httpx2.TransportError, errors.OfflineModeIsEnabled, ConnectionError) as exc:
        raise CdredError(f"{where}: {hub} cannot be reached: {_said(exc)}") from None
    except json.JSONDecodeError:
        raise CdredError(f"{where}: {hub}: answers with a page instead of data") from None
    except RuntimeError as exc:  # of an upload that the client gave up
        raise CdredError(f"{where}: {hub}: {_said(exc)} {_said(exc.__cause__ or exc)}") from None
    finally:
        logging.set_verbosity(level)


def _said(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:150] or type(exc).__name__
