"""Pickles of arrays, in the layouts of the authors' code and of IQ-Learn."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdred import documents
from cdred.demos import files, unpickle
from cdred.demos.recorded import REAL, Recorded
from cdred.demos.unpickle import DEPTH, Array

_OBS = ("states", "observations", "obs")
_AFTER = ("next_states", "next_observations", "next_obs")
_ACTION = ("actions", "action")
_REWARD = ("rewards", "reward")
_ENDS = ("dones", "terminals", "terminations", "truncations")
_OPTIONAL = (*_REWARD, *_ENDS, "success", "seed", "lengths")
_BY_POSITION = ("observations", "actions", "rewards", "next_observations")
_FIELDS = (*_OBS, *_AFTER, *_ACTION, *_OPTIONAL)


def read(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """Yield the episodes of a file that holds lists by field, or a list of episodes: dicts, or as
    CDRED's and IQ-MPC's authors write them, sequences by position."""
    with documents.open_regular(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        data = unpickle.load(stream, size, name)
    dense = _Dense(size)
    for k, e in enumerate(_episodes(data)):
        try:
            recorded = _recorded(e, dense)
        except ValueError as exc:
            raise ValueError(f"episode {k}: {exc}") from None
        yield recorded


def _episodes(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        fields = {key: _items(key, values) for key, values in data.items() if key in _FIELDS}
        counts = {key: len(values) for key, values in fields.items()}
        _field(fields, *_OBS)
        if len(set(counts.values())) > 1:
            raise ValueError(f"fields of different numbers of episodes: {files.brief(counts)}")
        for k in range(counts.popitem()[1]):
            yield {key: values[k] for key, values in fields.items()}
        return
    if not isinstance(data, list | tuple):
        raise ValueError(f"a {type(data).__name__}; a dict of lists or a list of dicts is read")
    for k, e in enumerate(data):
        if isinstance(e, list | tuple) and len(e) == len(_BY_POSITION):
            e = dict(zip(_BY_POSITION, e, strict=True))
        if not isinstance(e, dict):
            raise ValueError(
                f"episode {k} is a {type(e).__name__}; a dict, or a list of "
                f"{', '.join(_BY_POSITION)}, is read"
            )
        yield e


def _items(key: str, values: Any) -> Sequence[Any] | NDArray[Any]:
    """A field by episode."""
    if isinstance(values, Array) and values.values.ndim:
        return values.values
    if not isinstance(values, list | tuple):
        raise ValueError(f"{key}: a {type(values).__name__}; a list by episode is read")
    return values


def _recorded(e: dict[str, Any], dense: _Dense) -> Recorded:
    def array(*names: str) -> Any:
        return dense.array(_field(e, *names))

    obs, action = np.asarray(array(*_OBS)), np.asarray(array(*_ACTION))
    if obs.shape[:1] == action.shape[:1]:  # the last observation stands apart
        after = np.asarray(array(*_AFTER))
        if not np.array_equal(obs[1:], after[:-1], equal_nan=True):
            raise ValueError("an observation is not the one that follows the action before")
        obs = np.concatenate([obs, after[-1:]])
    optional = {key: array(key) for key in _OPTIONAL if key in e}
    if (length := optional.get("lengths", len(action))) != len(action):
        raise ValueError(f"an episode of length {files.brief(length)} with {len(action)} actions")
    reward = next((optional[key] for key in _REWARD if key in optional), None)
    ends = tuple((key, optional[key]) for key in _ENDS if key in optional)
    return Recorded(obs, action, reward, optional.get("success"), optional.get("seed"), ends)


class _Dense:
    """The arrays of lists: of as many numbers in all as the file has bytes, since each takes one at
    least. (A list that holds another many times is larger than the file that describes it.)"""

    def __init__(self, most: int) -> None:
        self.left = most

    def array(self, value: Any) -> Any:
        """A number or an array of numbers; None as it is."""
        if value is None:
            return None
        self._count(value, 0)
        if isinstance(value, Array):
            return value.values
        return np.array(value) if isinstance(value, list | tuple) else value

    def _count(self, value: Any, depth: int) -> None:
        """Take the numbers in a value. Raises ValueError for what is none."""
        if isinstance(value, bool | int | float):
            return
        if isinstance(value, Array):
            value = value.values
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in REAL:
            self._take(value.size)
            return
        if not isinstance(value, list | tuple):
            kind = getattr(value, "dtype", type(value).__name__)
            raise ValueError(f"{kind} among numbers")
        if depth == DEPTH:
            raise ValueError(f"lists in more than {DEPTH} lists")
        self._take(len(value))
        for item in value:
            self._count(item, depth + 1)

    def _take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ValueError("lists of more numbers than the file has bytes")


def _field(data: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in data:
            return data[name]
    raise ValueError(f"none of {', '.join(names)} among {files.brief(', '.join(data))}")
