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
FORMAT = 1
REQUIRED = {"stage", "task", "entry", "seed", "digest", "params", "code", "inputs", "files"}
# What results depend on beside our own code. Every suite may be absent.
PACKAGES = (
    "dm_control", "gymnasium", "mani_skill2", "metaworld", "minari", "mujoco", "numpy",
    "safetensors", "sapien", "shimmy", "torch",
)  # fmt: skip
# Written into artifact directories by others than us.
FOREIGN = {".snakemake_timestamp", ".gitignore"}


def digest_of(value: Any) -> str:
    """A hash of plain data that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def derive(fields: dict[str, Any], inputs: dict[str, str]) -> str:
    """The digest of a job: of all that decides its result. `fields` are those of a manifest or
    more; `inputs` the digests of the artifacts it reads, by path."""
    names = ("stage", "task", "entry", "seed", "params", "code")
    return digest_of({"format": FORMAT, "inputs": inputs} | {n: fields[n] for n in names})


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


def hash_code(root: Path, paths: tuple[str, ...]) -> str:
    """One hash of the code below `paths`, as DVC sees it with the committed .dvcignore."""
    files: dict[str, str] = {}
    for name in paths:
        path = root / name
        if not path.exists():
            raise CdredError(f"{path}: missing; the checkout is not complete")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            relative = file.relative_to(root)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
            if file.is_file() and not hidden and file.suffix != ".pyc":
                files[relative.as_posix()] = hash_file(file)
    return digest_of(files)


def hash_tree(directory: Path) -> dict[str, str]:
    """sha256 of every file of an artifact but its manifest, by relative path."""
    return {
        file.relative_to(directory).as_posix(): hash_file(file)
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.name not in FOREIGN and file != directory / NAME
    }


def write(directory: Path, fields: dict[str, Any]) -> None:
    """Complete an artifact: hash its files and write its manifest, keys sorted."""
    manifest = {"format": FORMAT, **fields, "files": hash_tree(directory)}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    (directory / NAME).write_text(text + "\n", encoding="utf-8")


def read(directory: Path) -> dict[str, Any] | None:
    """An artifact's manifest, or None where there is none that can be read."""
    try:
        manifest = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.keys() >= REQUIRED else None


def verify(directory: Path, made_by: str) -> dict[str, Any]:
    """The manifest of a complete artifact whose files are as their manifest says.

    Raises CdredError naming the first file that is missing or differs, and `made_by`, the command
    that makes it.
    """
    manifest = read(directory)
    if manifest is None:
        raise CdredError(f"{directory / NAME}: missing or not readable; `{made_by}` makes it")
    expected, found = manifest["files"], hash_tree(directory)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise CdredError(f"{directory / name}: missing; `{made_by}` makes it")
        if name not in expected:
            raise CdredError(f"{directory / name}: not in its manifest; remove it")
        if expected[name] != found[name]:
            raise CdredError(
                f"{directory / name}: damaged, its hash differs from its manifest; "
                f"`{made_by}` makes it again"
            )
    return manifest
