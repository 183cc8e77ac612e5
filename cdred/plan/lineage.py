"""The chain of manifests from an artifact up to all that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.errors import CdredError
from cdred.plan.paths import command, output_path

Manifests = dict[str, dict[str, Any]]  # artifact path, relative to the checkout -> manifest


def chain(root: Path, path: str, known: Manifests | None = None) -> Manifests:
    """Read the manifests of an artifact and of everything that it was made from, itself last.

    `known` holds those that were read before. Raises CdredError naming the first file that is
    missing, damaged, or other than the one that was read when the next artifact was made from it.
    """
    known = {} if known is None else known
    if path in known:
        return known
    claimed = manifest.read(root / path)
    if claimed is None:
        raise CdredError(f"{path}: no such artifact; name a directory that holds a manifest.json")
    identity = [claimed[name] for name in ("stage", "task", "entry", "seed")]
    if output_path(*identity).as_posix() != path:
        raise CdredError(f"{path}: its manifest is that of {output_path(*identity)}")
    own = manifest.verify(root / path, command(*map(str, identity)))
    for name, expected in own["inputs"].items():
        file = root / name / manifest.NAME
        if not file.exists():
            raise CdredError(f"{file}: missing, {path} was made from it")
        if manifest.hash_file(file) != expected:
            raise CdredError(
                f"{file}: not the one that {path} was made from; make the latter again, or bring "
                f"the former back"
            )
        chain(root, name, known)
    digests = {name: known[name]["digest"] for name in own["inputs"]}
    if manifest.derive(own, digests) != own["digest"]:
        raise CdredError(f"{root / path / manifest.NAME}: its digest does not follow from it")
    known[path] = own
    return known
