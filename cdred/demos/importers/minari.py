"""Minari datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cdred import hub_client, network
from cdred.demos import dataset
from cdred.demos.recorded import Recorded
from cdred.errors import CdredError, reason


def read(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """Yield the episodes in a dataset's directory, or of its id, downloaded if it is not here."""
    folder = file if file.is_dir() else _downloaded(name)
    data = folder / "data" if (folder / "data").is_dir() else folder
    return dataset.recordings(name, data, task)


def _downloaded(name: str) -> Path:
    """The directory of the dataset with an id."""
    import minari
    from minari.storage.datasets_root_dir import get_dataset_path

    try:
        folder: Path = get_dataset_path(name)
        if not (folder / "data").is_dir():
            remote = name if "://" in name else os.environ.get("MINARI_REMOTE", "hf://")
            with hub_client.bounded():
                if remote.startswith("hf://"):
                    network.ask_hub()
                minari.download_dataset(name)
        return folder
    except Exception as exc:  # of whatever fetches it
        raise CdredError(
            f"{name}: no Minari dataset here, and not to be had: {reason(exc)}"
        ) from None
