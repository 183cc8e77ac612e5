"""Pickles of arrays, in the layouts of the authors' code and of IQ-Learn, read without running
anything that they hold."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cdred.demos.importers.recorded import Recorded
from cdred.errors import CdredError

_OBS = ("states", "observations", "obs")


class _Plain(pickle.Unpickler):
    """An unpickler of numbers, text, lists, dicts and numpy arrays, which refuses all else before
    it runs."""

    _ALLOWED = frozenset(
        (f"numpy{core}", name)
        for core, names in (
            ("", ("ndarray", "dtype")),
            (".core.multiarray", ("_reconstruct", "scalar")),
            ("._core.multiarray", ("_reconstruct", "scalar")),
            (".core.numeric", ("_frombuffer",)),
            ("._core.numeric", ("_frombuffer",)),
        )
        for name in names
    ) | {("collections", "OrderedDict"), ("_codecs", "encode")}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise CdredError(
                f"{getattr(self, 'source', 'pickle')}: refused: it asks for {module}.{name}, which "
                f"is code; only numbers, text, lists, dicts and numpy arrays are read"
            )
        if module.startswith("numpy._core"):  # of numpy 2
            module = module.replace("numpy._core", "numpy.core")
        return super().find_class(module, name)


def read(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """Yield the episodes of a file that holds lists by field, or a list of episodes."""
    with file.open("rb") as stored:
        reader = _Plain(stored)
        reader.source = name  # type: ignore[attr-defined]
        data = reader.load()
    if isinstance(data, dict):
        fields = {key: data[key] for key in data if key != "lengths"}
        count = len(_field(fields, *_OBS))
        data = [{key: values[k] for key, values in fields.items()} for k in range(count)]
    for e in data:
        obs, action = np.asarray(_field(e, *_OBS)), np.asarray(_field(e, "actions", "action"))
        if len(obs) == len(action):  # the last observation stands apart
            after = np.asarray(_field(e, "next_states", "next_observations", "next_obs"))
            obs = np.concatenate([obs, after[-1:]])
        rewards = e.get("rewards", e.get("reward"))
        yield Recorded(obs, action, rewards, e.get("success"), e.get("seed"))


def _field(data: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in data:
            return data[name]
    raise KeyError(f"none of {', '.join(names)} among {', '.join(map(str, data))}")
