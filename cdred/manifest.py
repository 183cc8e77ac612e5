"""Manifests: what an artifact is, what it was made from, and the hash of every byte of it.

Standard library and pydantic alone: the engines read manifests while they plan.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cdred import documents
from cdred.documents import Document, Name, Seed, Sha256
from cdred.errors import CdredError

NAME = "manifest.json"
EVALUATION, VIDEO = "evaluation.json", "video.mp4"  # of an evaluation
FORMAT = 2  # of format 1 `code` was one hash of whole folders
# What results depend on beside our own code. Every suite may be absent.
PACKAGES = (
    "dm_control", "gymnasium", "mani_skill2", "metaworld", "minari", "mujoco", "numpy",
    "safetensors", "sapien", "shimmy", "torch",
)  # fmt: skip
_HIDDEN = frozenset({"thumbs.db", "desktop.ini"})  # by Windows


class Manifest(Document):
    """The fields of a manifest."""

    format: Literal[1, 2]
    stage: Literal["expert", "demos", "imitate", "evaluate", "report"]
    task: Annotated[str, Field(max_length=200)]
    entry: Name
    seed: Seed
    digest: Sha256
    params: dict[str, Any]
    code: Sha256 | dict[str, Sha256]
    inputs: dict[Name, Sha256]
    files: dict[Name, Sha256] = Field(min_length=1)
    # The circumstances, which are no part of its identity.
    packages: dict[Name, str]
    device: str
    machine: str
    threads: Annotated[int, Field(ge=1, le=1024)] = 1


def digest_of(value: Any) -> str:
    """A hash of plain data that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def derive(fields: dict[str, Any], inputs: dict[str, str]) -> str:
    """The digest of a job: of all that decides its result. `fields` are those of a manifest, whose
    format it has, or more; `inputs` the digests of the artifacts it reads, by path."""
    names = ("stage", "task", "entry", "seed", "params", "code")
    known = {"format": fields.get("format", FORMAT), "inputs": inputs}
    return digest_of(known | {n: fields[n] for n in names})


def packages() -> dict[str, str]:
    """The versions of PACKAGES, of those that are installed."""
    versions: dict[str, str] = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def hash_file(path: Path) -> str:
    with documents.open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_hidden(name: str) -> bool:
    """Tell whether a file, by its path below a directory, is hidden there: what file browsers,
    engines and network file systems leave is no part of an artifact, and nothing reads it."""
    parts = name.split("/")
    return any(part.startswith(".") for part in parts) or parts[-1].lower() in _HIDDEN


def hash_tree(directory: Path) -> dict[str, str]:
    """sha256 of every file of an artifact but its manifest and what is hidden, by relative path."""
    files = {file.relative_to(directory).as_posix(): file for file in directory.rglob("*")}
    return {
        name: hash_file(file)
        for name, file in sorted(files.items())
        if name != NAME and not is_hidden(name) and file.is_file()
    }


def write(directory: Path, fields: dict[str, Any]) -> None:
    """Complete an artifact: hash its files and write its manifest, keys sorted."""
    complete = {"format": FORMAT, **fields, "files": hash_tree(directory)}
    text = json.dumps(complete, indent=1, sort_keys=True, ensure_ascii=False)
    (directory / NAME).write_text(text + "\n", encoding="utf-8")


def load(directory: Path) -> dict[str, Any]:
    """An artifact's manifest. Raises CdredError when it is not there, or no manifest."""
    content = documents.read_json(directory / NAME)
    documents.check(Manifest, content, str(directory / NAME))
    return content


def read(directory: Path) -> dict[str, Any] | None:
    """As `load`, or None where there is none. Raises UnreadableError where that is not known: what
    may be another user's is not to be made again."""
    try:
        return load(directory)
    except documents.UnreadableError:
        raise
    except CdredError:
        return None


def missing_files(directory: Path, content: dict[str, Any]) -> list[str]:
    """The files of manifest `content` that are not in the directory."""
    return [name for name in content["files"] if not (directory / name).is_file()]


def verify(directory: Path, made_by: str) -> dict[str, Any]:
    """The manifest of a complete artifact whose files are as their manifest says.

    Raises CdredError naming the first file that is missing or differs, and `made_by`, the command
    that makes it.
    """
    try:
        content = load(directory)
    except CdredError as exc:
        raise CdredError(f"{exc}; `{made_by}` makes it") from None
    expected, hashes = content["files"], hash_tree(directory)
    for name in sorted(expected.keys() | hashes.keys()):
        if name not in hashes:
            raise CdredError(f"{directory / name}: missing; `{made_by}` makes it")
        if name not in expected:
            raise CdredError(f"{directory / name}: not in its manifest; remove it")
        if expected[name] != hashes[name]:
            raise CdredError(
                f"{directory / name}: damaged, its hash differs from its manifest; "
                f"`{made_by}` makes it again"
            )
    return content
