"""Minari datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cdred.demos.importers.recorded import Recorded
from cdred.errors import CdredError


def read(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """Yield the episodes in a dataset's directory, or of its id, downloaded if it is not here."""
    import minari

    try:
        if file.is_dir():
            data = file / "data" if (file / "data").is_dir() else file
            dataset = minari.MinariDataset(data.resolve())
        else:
            dataset = minari.load_dataset(name, download=True)
    except Exception as exc:  # of whatever fetches it
        raise CdredError(
            f"{name}: no Minari dataset here, and not to be had: {' '.join(str(exc).split())[:150]}"
        ) from None
    made_for = json.loads(dataset.storage.metadata.get("environment", "{}")).get("task", task)
    if made_for != task:
        raise CdredError(f"{name}: demonstrations of {made_for}, not of {task}")
    indices = range(dataset.total_episodes)
    for e, extra in zip(
        dataset.iterate_episodes(indices), dataset.storage.get_episode_metadata(indices),
        strict=True,
    ):  # fmt: skip
        success = extra.get("success", (e.infos or {}).get("success"))
        yield Recorded(e.observations, e.actions, e.rewards, success, extra.get("seed"))
