"""The boundary to files that others made: regular ones alone are opened, and whatever is wrong with
one is told in one line."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cdred.errors import CdredError

MOST_JSON = 2**26  # bytes; a description of 100,000 episodes has less


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
        reason = brief(exc) + (" is missing" if type(exc) is KeyError else "")
        raise CdredError(f"{where}: cannot be read as {kind}: {reason}") from None


def brief(value: object, most: int = 200) -> str:
    """Others' text as a line that can be printed; the type's name if there is none."""
    text = " ".join(str(value).split()) or type(value).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else f"{text[:most]} ..."


def check_regular(file: Path) -> int:
    """The size of a file. Raises ValueError unless it is a regular one and holds something: a pipe
    or a device would never end."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{file.name}: not a regular file")
    if status.st_size == 0:
        raise ValueError(f"{file.name}: empty")
    return status.st_size


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ValueError, among others, where there is none."""
    if (size := check_regular(file)) > MOST_JSON:
        raise ValueError(f"{file.name}: {size} bytes, more than {MOST_JSON}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{file.name}: not JSON: {brief(exc)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file.name}: not a JSON object")
    return content
