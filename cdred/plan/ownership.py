"""The files in an artifact's place that this tool wrote: only its own remains may be replaced.

Before an artifact is put in its place, the names of its files are noted in `.cdred/owned/`. So an
artifact that lost its manifest, by a kill, an engine or a full disk, is still known as ours.
The engines ask while they plan.
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cdred import documents, manifest
from cdred.errors import CdredError
from cdred.plan import dvc_lock

FOLDER = Path(".cdred/owned")


def note(root: Path, path: Path, names: Iterable[str]) -> None:
    """Note that the files `names`, relative to the artifact at `path`, are written by us."""
    file = _file(root, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(f".{os.uname().nodename}.{os.getpid()}")
    documents.replace(file, json.dumps(sorted(_noted(root, path) | set(names))).encode(), aside)


def note_present(root: Path, paths: Iterable[Path]) -> None:
    """Note the files of the artifacts at `paths` that are there with their manifests, as others'
    that were pulled, unless that was done before."""
    for path in paths:
        if not _file(root, path).exists() and (content := manifest.read(root / path)) is not None:
            note(root, path, content["files"])


def check_target(root: Path, path: Path) -> None:
    """Refuse to replace what this tool did not write, with a CdredError."""
    target = root / path
    if not os.path.lexists(target):
        return
    if not target.is_dir():  # also a link to nothing
        raise CdredError(f"{path}: exists and was not made by cdred; move it away")
    content = manifest.read(target)
    known = {manifest.NAME} | _noted(root, path)
    known |= set() if content is None else content["files"].keys()
    ours = len(known) > 1
    strange = [
        name
        for name in _files(target)
        if name not in known and not (ours and manifest.is_hidden(name.rpartition("/")[2]))
    ]
    strange = sorted(set(strange) - _listed_by_dvc(root, path)) if strange else []
    if strange:
        what = path if content is None else path / strange[0]
        raise CdredError(f"{what}: exists and was not made by cdred; move it away")


def _files(directory: Path) -> Iterator[str]:
    """The files below a directory, and links to directories, which are not followed."""
    for folder, folders, files in os.walk(directory):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(folder) / name).relative_to(directory).as_posix()


def _noted(root: Path, path: Path) -> set[str]:
    try:
        return set(json.loads(documents.read_bytes(_file(root, path))))
    except (CdredError, ValueError, TypeError, RecursionError):
        return set()


def _listed_by_dvc(root: Path, path: Path) -> set[str]:
    """The files that an artifact has where DVC pulled it from others."""
    try:
        outs = [out for stage in dvc_lock.stages(root).values() for out in stage.outs]
        (md5,) = {out.md5 or "" for out in outs if out.path == path.as_posix()}
        return set(dvc_lock.listing(_dvc_cache(root) / "files/md5" / md5[:2] / md5[2:]))
    except (CdredError, ValueError, configparser.Error):
        return set()


def _dvc_cache(root: Path) -> Path:
    """DVC's cache, where `dvc cache dir` says that it is; read without DVC."""
    known = configparser.RawConfigParser(strict=False)
    known.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    return root / ".dvc" / known.get("cache", "dir", fallback="cache")


def _file(root: Path, path: Path) -> Path:
    return root / FOLDER / (path.as_posix().replace("/", "__") + ".json")
