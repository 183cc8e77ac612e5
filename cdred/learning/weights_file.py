"""The tensors that a file of safetensors says it holds, none of which is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from cdred import documents
from cdred.documents import Document
from cdred.errors import CdredError

HEADER = 8  # bytes, which hold the length of the table that follows


class Kind(NamedTuple):
    """The type, by its name in safetensors, and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]


Kinds = dict[str, Kind]  # by the name of the tensor


def kinds_in(file: Path) -> Kinds:
    """The tensors that a file says it holds, no number of which is read.

    Raises CdredError unless it has a table of plain data that describes tensors.
    """
    try:
        with documents.open_regular(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            length = int.from_bytes(opened.read(HEADER), "little")
            if size < HEADER or length > min(size - HEADER, documents.LARGEST):
                raise CdredError(f"{file}: not of safetensors, or cut short")
            text = opened.read(length).decode("utf-8")
    except OSError as exc:
        raise CdredError(f"{file}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise CdredError(f"{file}: not of safetensors: its table is not UTF-8") from None
    content = documents.parse(text, str(file))
    content.pop("__metadata__", None)
    table = documents.check(_Table, {"tensors": content}, str(file))
    return {name: Kind(t.dtype, tuple(t.shape)) for name, t in table.tensors.items()}


class _Tensor(Document):
    dtype: Annotated[str, Field(max_length=20)]
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**62)]], Field(max_length=20)]


class _Table(Document):
    tensors: dict[str, _Tensor]
