"""Hashes of the files here that the configuration names: recordings of others, and agents."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.config.parsing import short
from cdred.errors import CdredError

MOST_FILES = 10_000
KERNEL = (Path("/proc"), Path("/sys"))  # files without an end, or of nobody's making


def hashes(root: Path, name: str | None, key: str) -> dict[str, Any]:
    """The hashes of a file or directory that the key `key` of params.yaml names, by that name;
    empty where there is none, as of a name on the Hub.

    Raises CdredError for what is neither, holds this checkout, or cannot be read.
    """
    if not name:
        return {}
    where = f"params.yaml: {key}: {short(name)}"
    try:
        path = (root / name).resolve()
        if not path.exists():
            return {}
        if problem := _problem(path, root.resolve()):
            raise CdredError(f"{where}: {problem}")
        content = manifest.hash_tree(path) if path.is_dir() else manifest.hash_file(path)
    except (OSError, ValueError, RuntimeError) as exc:  # RuntimeError: a loop of links
        reason = getattr(exc, "strerror", None) or " ".join(str(exc).split())
        raise CdredError(f"{where}: cannot be read: {short(reason)}") from None
    return {"files": {name: content}}


def _problem(path: Path, root: Path) -> str | None:
    if any(path.is_relative_to(kernel) for kernel in KERNEL):
        return "of the kernel's file systems, not a recording"
    if root.is_relative_to(path):
        return "holds this checkout; name the folder of the recordings itself"
    if not path.is_file() and not path.is_dir():
        return "neither a file nor a directory"
    files = (name for _, _, names in os.walk(path) for name in names)
    if sum(1 for _ in itertools.islice(files, MOST_FILES + 1)) > MOST_FILES:
        return f"more than {MOST_FILES} files; name the folder of the recordings itself"
    return None
