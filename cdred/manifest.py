"""Manifests: what an artifact is, what it was made from, and the hash of every byte of it.

Standard library alone: the engines read manifests while they plan.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from cdred.errors import CdredError

NAME = "manifest.json"
FORMAT = 2  # of format 1 `code` was one hash of whole folders
REQUIRED = {"stage", "task", "entry", "seed", "digest", "params", "code", "inputs", "files"}
# What results depend on beside our own code. Every suite may be absent.
PACKAGES = (
    "dm_control", "gymnasium", "mani_skill2", "metaworld", "minari", "mujoco", "numpy",
    "safetensors", "sapien", "shimmy", "torch",
)  # fmt: skip
# Written into artifact directories by the engines.
ADDED = frozenset({".snakemake_timestamp", ".gitignore"})


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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_tree(directory: Path) -> dict[str, str]:
    """sha256 of every file of an artifact but its manifest, by relative path."""
    return {
        file.relative_to(directory).as_posix(): hash_file(file)
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.name not in ADDED and file != directory / NAME
    }


def write(directory: Path, fields: dict[str, Any]) -> None:
    """Complete an artifact: hash its files and write its manifest, keys sorted."""
    complete = {"format": FORMAT, **fields, "files": hash_tree(directory)}
    text = json.dumps(complete, indent=1, sort_keys=True, ensure_ascii=False)
    (directory / NAME).write_text(text + "\n", encoding="utf-8")


def read(directory: Path) -> dict[str, Any] | None:
    """An artifact's manifest, or None where there is none that can be read."""
    try:
        content = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not content.keys() >= REQUIRED:
        return None
    tables = (content[name] for name in ("params", "inputs", "files"))
    return content if all(isinstance(table, dict) for table in tables) else None


def missing_files(directory: Path, content: dict[str, Any]) -> list[str]:
    """Which of the files of manifest `content` are not in the directory."""
    return [name for name in content["files"] if not (directory / name).is_file()]


def verify(directory: Path, made_by: str) -> dict[str, Any]:
    """The manifest of a complete artifact whose files are as their manifest says.

    Raises CdredError naming the first file that is missing or differs, and `made_by`, the command
    that makes it.
    """
    content = read(directory)
    if content is None:
        raise CdredError(f"{directory / NAME}: missing or not readable; `{made_by}` makes it")
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
