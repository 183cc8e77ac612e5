"""HDF5 files that others made, opened only when nothing in them reaches out of the file.

HDF5 can name other files: by links, as the storage of a dataset, as the source of a virtual one.
Whoever reads such a dataset reads any file of the machine that its author chose.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cdred import documents
from cdred.demos import files

if TYPE_CHECKING:
    import h5py

DEEPEST, MOST_OBJECTS = 20, 10**6  # groups within each other; groups and datasets
MOST_CHUNK = 2**24  # bytes that are read at once for a part of a dataset
SIGNATURE = b"\x89HDF\r\n\x1a\n"
CHECKSUM = 4  # bytes that fletcher32 adds


@contextmanager
def opened(file: Path) -> Iterator[h5py.File]:
    """A file open for reading.

    Raises ValueError unless it is a tree of groups and of datasets that it stores itself: any link
    but a hard one, a second link to the same object, external storage, virtual datasets and filters
    other than gzip, shuffle and fletcher32 are refused.
    """
    import h5py

    with documents.open_regular(file) as start:
        if start.read(len(SIGNATURE)) != SIGNATURE:  # then addresses would not count from its start
            raise ValueError("does not begin as an HDF5 file")
    with h5py.File(file, "r") as stored:
        _check_tree(stored)
        yield stored


def _check_tree(stored: h5py.File) -> None:
    import h5py

    root: h5py.Group = stored["/"]
    waiting = [("", 0, root)]  # path, depth
    known = {h5py.h5o.get_info(root.id).addr}
    while waiting:
        path, depth, group = waiting.pop()
        for name in group:
            where = files.brief(f"{path}/{name}", 60)
            if depth >= DEEPEST or len(known) > MOST_OBJECTS:
                raise ValueError(
                    f"{where}: more than {DEEPEST} groups deep, or {MOST_OBJECTS} objects; refused"
                )
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{where}: a link to elsewhere; refused")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in known:
                raise ValueError(f"{where}: an object that has another name, too; refused")
            known.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/{name}", depth + 1, item))
            elif isinstance(item, h5py.Dataset):
                _check_storage(where, item)
            else:
                raise ValueError(f"{where}: neither a group nor a dataset; refused")


def _check_storage(where: str, dataset: h5py.Dataset) -> None:
    from h5py import h5d, h5z

    created = dataset.id.get_create_plist()
    if created.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise ValueError(f"{where}: a virtual dataset, stored elsewhere; refused")
    if created.get_external_count():
        raise ValueError(f"{where}: stored in another file; refused")
    if created.get_fill_time() == h5d.FILL_TIME_NEVER:
        raise ValueError(f"{where}: parts of it may never have been written; refused")
    filters = [created.get_filter(k)[0] for k in range(created.get_nfilters())]
    known = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}
    if set(filters) - known or len(set(filters)) < len(filters):
        raise ValueError(
            f"{where}: filters {filters}; only gzip, shuffle and fletcher32 are read, each once: "
            f"h5repack changes them"
        )


class Stored:
    """A dataset, which is read when `numpy.asarray` asks for its array: its shape and dtype can be
    checked before."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset = dataset
        self.dtype: np.dtype[Any] = dataset.dtype
        if dataset.shape is None:
            raise ValueError(f"{dataset.name}: holds nothing")
        self.shape: tuple[int, ...] = dataset.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        _check_chunks(self.dataset)
        return np.asarray(self.dataset[()], dtype)


def _check_chunks(dataset: h5py.Dataset) -> None:
    """Raise ValueError when a dataset's chunks are larger than it needs, in the file or unpacked:
    HDF5 allocates whatever they unpack to. Or shorter: then it takes the memory that lies behind
    them, others' data, for theirs."""
    if dataset.chunks is None:
        return
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if size > max(MOST_CHUNK, dataset.size * dataset.dtype.itemsize):
        raise ValueError(f"{dataset.name}: chunks of {size} bytes")
    created = dataset.id.get_create_plist()
    filters = [created.get_filter(k)[0] for k in range(created.get_nfilters())]
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    # Not by HDF5's function for it, which takes memory for the size that a chunk should have, and
    # fills in as much as the file states.
    with documents.open_regular(Path(dataset.file.filename)) as stream:
        for chunk in chunks:
            if chunk.size > size + size // 100 + 1000:  # gzip never adds as much
                raise ValueError(f"{dataset.name}: a chunk of {size} bytes takes {chunk.size}")
            packed = os.pread(stream.fileno(), chunk.size, chunk.byte_offset)
            applied = [f for k, f in enumerate(filters) if not chunk.filter_mask >> k & 1]
            if len(packed) != chunk.size or _unpacked(packed, applied, size) != size:
                raise ValueError(f"{dataset.name}: a chunk does not unpack to its {size} bytes")


def _unpacked(packed: bytes, filters: list[int], size: int) -> int:
    """The bytes that a chunk of `size` unpacks to; -1 if its stream is not whole, or goes on."""
    from h5py import h5z

    for one in reversed(filters):
        if one == h5z.FILTER_FLETCHER32:
            packed = packed[:-CHECKSUM]
        elif one == h5z.FILTER_DEFLATE:
            stream = zlib.decompressobj()
            try:
                packed = stream.decompress(packed, size + CHECKSUM + 1)
            except zlib.error:
                return -1
            if not stream.eof or stream.unused_data:
                return -1
    return len(packed)


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """A group in a group. Raises ValueError if it is missing or something else."""
    import h5py

    item = parent.get(name)
    if not isinstance(item, h5py.Group):
        raise ValueError(f"{files.brief(name)}: {'missing' if item is None else 'not a group'}")
    return item


def array(parent: h5py.Group, name: str) -> Stored | None:
    """A dataset in a group; None if it is missing. Raises ValueError if it is a group."""
    import h5py

    item = parent.get(name)
    if item is not None and not isinstance(item, h5py.Dataset):
        raise ValueError(f"{parent.name}/{name}: a group; one array is needed")
    return None if item is None else Stored(item)


def attribute(item: h5py.Group, name: str) -> Any:
    """An attribute that is one number; None if it is missing. Raises ValueError for any other."""
    if name not in item.attrs:
        return None
    described = item.attrs.get_id(name)
    if described.dtype.kind not in "biuf" or described.shape not in ((), (1,)):
        raise ValueError(f"{item.name}: its attribute {name!r} is not a number")
    return np.asarray(item.attrs[name]).item()
