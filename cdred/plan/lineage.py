"""The chain of manifests from an artifact up to all that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.errors import CdredError
from cdred.plan.paths import STAGES, command, output_path

Manifests = dict[str, dict[str, Any]]  # artifact path, relative to the checkout -> manifest
# By stage the least and the largest number of its inputs, and the stages that they may come from.
INPUTS: dict[str, tuple[int, float, tuple[str, ...]]] = {
    "expert": (0, 0, ()),
    "demos": (0, 1, ("expert",)),
    "imitate": (1, 1, ("demos",)),
    "evaluate": (1, 1, ("expert", "imitate")),
    "report": (1, float("inf"), STAGES[:-1]),
}


def chain(root: Path, path: str, known: Manifests | None = None) -> Manifests:
    """Read the manifests of an artifact and of everything that it was made from, itself last.

    `known` holds those that were read before. Raises CdredError naming the first file that is
    missing, damaged, or other than the one that was read when the next artifact was made from it.
    """
    known = {} if known is None else known
    if path in known:
        return known
    if not (root / path / manifest.NAME).exists():
        raise CdredError(f"{path}: no such artifact; name a directory that holds a manifest.json")
    claimed = manifest.load(root / path)
    check_identity(path, claimed)
    own = manifest.verify(root / path, command(*map(str, _identity(claimed))))
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
    check_derivation(str(root / path / manifest.NAME), own, known)
    known[path] = own
    return known


def check_identity(path: str, own: dict[str, Any]) -> None:
    """Refuse a manifest that is not that of the artifact at `path`, or has inputs that its stage
    does not read, with a CdredError."""
    if (actual := output_path(*_identity(own)).as_posix()) != path:
        raise CdredError(f"{path}: its manifest is that of {actual}")
    least, most, stages = INPUTS[own["stage"]]
    folders = {output_path(stage, "task", "entry").parts[:2] for stage in stages}
    inputs = own["inputs"]
    if not least <= len(inputs) <= most or {Path(n).parts[:2] for n in inputs} - folders:
        raise CdredError(f"{path}: its manifest names inputs that {own['stage']} does not read")


def check_derivation(where: str, own: dict[str, Any], known: Manifests) -> None:
    """Refuse a manifest, with a CdredError, whose digest does not follow from it and its inputs,
    which are among the `known`."""
    digests = {name: known[name]["digest"] for name in own["inputs"]}
    if manifest.derive(own, digests) != own["digest"]:
        raise CdredError(f"{where}: its digest does not follow from it")


def _identity(own: dict[str, Any]) -> tuple[str, str, str, int]:
    return own["stage"], own["task"], own["entry"], own["seed"]
