"""Problems of shared artifacts that DVC does not name: a remote out of reach, a damaged cache.

DVC links what is in its cache without looking at it again, and pushes it to others.
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import os
import shutil
from pathlib import Path

from cdred import documents
from cdred.engines import dvc
from cdred.errors import CdredError, reason
from cdred.plan import dvc_lock


def check_remote(command: str, arguments: list[str], root: Path = Path()) -> None:
    """Ask the remote of `dvc push`, `pull` or `fetch` whether it is there: they ask late or never.

    Raises CdredError when no remote is configured or it cannot be reached.
    """
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("-r", "--remote")
    with dvc.repository(root) as repo:
        remote = repo.cloud.get_remote(options.parse_known_args(arguments)[0].remote)
    where = f"remote {remote.name} ({remote.fs.unstrip_protocol(remote.path)})"
    if remote.fs.protocol == "local":
        folder = Path(remote.path)
        if not (folder if command != "push" else folder.parent).is_dir():
            raise CdredError(f"dvc {command}: {where}: no such directory; is it mounted?")
        return
    try:
        there = remote.fs.exists(remote.path)
        bucket = remote.path.split("/")[0]
        if not there and remote.fs.protocol == "s3" and not remote.fs.exists(bucket):
            raise CdredError(f"dvc {command}: {where}: no bucket is called {bucket!r}")
    except CdredError:
        raise
    except Exception as exc:  # of whatever library speaks its protocol
        raise CdredError(
            f"dvc {command}: {where} cannot be reached: {reason(exc)}; nothing is lost, the "
            f"same command goes on when it can"
        ) from None


def drop_damaged(root: Path = Path()) -> None:
    """Take what does not hold what its name says out of DVC's cache, and with it the artifacts that
    were linked from it, so that DVC fetches them again.

    Raises CdredError naming what was dropped, if anything.
    """
    cache = dvc.cache_of(root)
    dropped = []
    for md5, linked in _cached(root, cache).items():
        file = _file(cache, md5)
        if not file.exists() or _is_whole(file, md5):
            continue
        # Only what has the same damage goes: a copy made before, which may be the last, stays, and
        # so does a newer result that was not recorded yet.
        spoilt = {artifact for artifact, name in linked if name and _same(artifact / name, file)}
        file.unlink()
        dropped.append(file)
        for artifact in sorted(spoilt):
            shutil.rmtree(artifact)
            dropped.append(artifact)
    if dropped:
        names = ", ".join(os.path.relpath(path, root) for path in dropped)
        raise CdredError(
            f"damaged, so removed: {names}; `dvc pull` fetches what a remote has, an artifact that "
            f"is still here goes back by `cdred record`, the engines make the rest again"
        )


def _cached(root: Path, cache: Path) -> dict[str, list[tuple[Path, str]]]:
    """MD5 of each file that dvc.lock names -> artifacts and their files that hold it; listings of
    directories, which no file holds, with an empty name."""
    stages = dvc_lock.stages(root).values()
    holders: dict[str, list[tuple[Path, str]]] = {}
    for out in (out for stage in stages for out in stage.outs):
        if (md5 := out.md5) is None:
            continue
        artifact = root / out.path
        holders.setdefault(md5, []).append((artifact, ""))
        listing = _file(cache, md5)
        if md5.endswith(".dir") and listing.exists() and _is_whole(listing, md5):
            for name, one in dvc_lock.listing(listing).items():
                holders.setdefault(one, []).append((artifact, name))
    return holders


def _file(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _is_whole(file: Path, md5: str) -> bool:
    """Tell whether a file is a regular one that holds what its name says."""
    if not file.is_file():
        return False
    with documents.open_regular(file) as source:
        actual = hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return actual == md5.removesuffix(".dir")


def _same(a: Path, b: Path) -> bool:
    return a.is_file() and b.is_file() and filecmp.cmp(a, b, shallow=False)
