"""The boundary to demonstrations that others made: what is wrong with one is told in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cdred import documents
from cdred.errors import CdredError, reason

LARGEST = 64 * 2**20  # bytes of JSON; a description of 100,000 episodes has fewer


@contextmanager
def one_line(where: str, kind: str) -> Iterator[None]:
    """Replace any error of reading others' data by one line.

    Raises CdredError in its place. A package that is missing here is no fault of the data.
    """
    try:
        yield
    except (CdredError, ModuleNotFoundError):
        raise
    except Exception as exc:  # libraries raise anything on data that they do not expect
        missing = " is missing" if type(exc) is KeyError else ""
        raise CdredError(
            f"{where}: cannot be read as {kind}: {brief(reason(exc))}{missing}"
        ) from None


def brief(value: object, most: int = 200) -> str:
    """Others' text as a line that can be printed."""
    text = " ".join(str(value).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else f"{text[:most]} ..."


def read_json(file: Path) -> dict[str, Any]:
    """The table in a JSON file of another format than ours, which may hold any text and number.

    Raises CdredError when it cannot be read.
    """
    try:
        content = json.loads(documents.read_text(file, LARGEST))
    except (ValueError, RecursionError) as exc:
        raise CdredError(f"{file}: not valid JSON: {brief(exc)}") from None
    if not isinstance(content, dict):
        raise CdredError(f"{file}: holds no table")
    return content
