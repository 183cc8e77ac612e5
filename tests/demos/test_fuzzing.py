"""Demonstrations damaged at random: read, or refused in one line; no crash, hang or traceback."""

from __future__ import annotations

import pickle
import random
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pytest
from support.demonstrations import TASK, collect, episodes, iq_learns, minari, trajectories
from support.hostile import HDF5, PICKLES
from support.isolated import failures

from cdred.demos import dataset
from cdred.errors import CdredError

pytestmark = pytest.mark.slow
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63, 2**64 - 1]


def mutated(content: bytes, rng: random.Random, kinds: int = 6) -> bytes:
    """Bytes changed, replaced by the numbers at which sizes turn, put in, taken out, or repeated:
    so many of these kinds, of which the first three leave the size as it is."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        at, size = rng.randrange(len(data)), rng.choice([1, 2, 4, 8, 32])
        kind = rng.randrange(kinds)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            width = rng.choice([1, 2, 4, 8])
            number = rng.choice(NUMBERS) % 2 ** (8 * width)
            data[at : at + width] = struct.pack("<Q", number)[:width]
        elif kind == 3:
            data[at:at] = rng.randbytes(size)
        elif kind == 4:
            data[at:at] = data[at : at + size] * rng.choice([1, 2, 50])
        elif len(data) > 2 * size:
            del data[at : at + size]
    if kinds == 6 and rng.random() < 0.1:
        del data[rng.randrange(len(data)) + 1 :]
    return bytes(data)


def attempted(read: Callable[[], object]) -> None:
    try:
        read()
    except CdredError as exc:
        line = str(exc)
        assert line.isprintable() and len(line) < 600 and "MemoryError" not in line, line


def test_damaged_pickles(tmp_path: Path) -> None:
    bases = [pickle.dumps(iq_learns(episodes()), protocol) for protocol in range(6)]
    bases += [pickle.dumps([{"obs": e.obs.tolist(), "action": e.action} for e in episodes()])]
    hostile = [content for content, _ in PICKLES.values() if 0 < len(content) < 20_000]
    file = tmp_path / "d.pkl"

    def attempt(k: int) -> None:
        rng = random.Random(k)
        base = rng.choice(bases if k % 2 else hostile)
        file.write_bytes(mutated(base, rng))
        attempted(lambda: collect(tmp_path, "pickle", "d.pkl"))

    assert failures(attempt, 1500) == []


def _in_chunks(target: h5py.File, options: dict[str, Any], name: str, item: Any) -> None:
    """Copy a group or a dataset, which becomes one of several chunks."""
    if isinstance(item, h5py.Group):
        made = target.require_group(name)
    else:
        chunks = tuple(max(1, count // 2) for count in item.shape)
        made = target.create_dataset(name, data=item[()], chunks=chunks, **options)
    for key, value in item.attrs.items():
        made.attrs[key] = value


def test_damaged_hdf5(tmp_path: Path) -> None:
    bases = []
    good = minari(tmp_path / "d") / "data/main_data.hdf5"
    for case, (change, _) in [("", (lambda *_: None, "")), *HDF5.items()]:
        shutil.copyfile(good, tmp_path / "base.h5")
        with h5py.File(tmp_path / "base.h5", "a") as stored:
            change(stored["episode_0"], tmp_path)
        content = (tmp_path / "base.h5").read_bytes()
        if len(content) < 10**6:
            bases += [content] * (1 if case else len(HDF5))
    for options in ({}, {"compression": "gzip", "shuffle": True, "fletcher32": True}):
        with h5py.File(good) as stored, h5py.File(tmp_path / "base.h5", "w") as chunked:
            stored.visititems(partial(_in_chunks, chunked, options))
        bases += [(tmp_path / "base.h5").read_bytes()] * len(HDF5)
    theirs = trajectories(tmp_path / "t.h5").read_bytes()

    def attempt(k: int) -> None:
        rng = random.Random(k)
        if k % 4 == 0:
            (tmp_path / "t.h5").write_bytes(mutated(theirs, rng, 3))
            attempted(lambda: collect(tmp_path, "maniskill2", "t.h5", "lift-cube"))
            return
        good.write_bytes(mutated(rng.choice(bases), rng, 6 if k % 5 == 0 else 3))
        attempted(lambda: collect(tmp_path, "minari", "d"))
        attempted(lambda: dataset.read(tmp_path / "d", TASK))

    assert failures(attempt, 1500) == []


def test_damaged_descriptions(tmp_path: Path) -> None:
    good = [minari(tmp_path / "d") / "data/metadata.json"]
    good += [trajectories(tmp_path / "t.h5").with_suffix(".json")]
    bases = [file.read_bytes() for file in good]

    def attempt(k: int) -> None:
        good[k % 2].write_bytes(mutated(bases[k % 2], random.Random(k)))
        attempted(lambda: collect(tmp_path, "minari", "d"))
        attempted(lambda: collect(tmp_path, "maniskill2", "t.h5", "lift-cube"))

    assert failures(attempt, 1000) == []
