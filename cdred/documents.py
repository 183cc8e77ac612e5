"""Files that others may have written, read as data alone: what is wrong with one is one CdredError.

Standard library and pydantic alone: the engines read manifests while they plan.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cdred.errors import CdredError, is_control

LARGEST = 16 * 2**20  # bytes: an evaluation of 100,000 episodes has 12 million
DEEPEST = 20  # tables and lists within each other; ours have four
LONGEST = 100  # letters of a file's text in a message
_PART = re.compile(r"\w([\w.-]*\w)?")
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(10)}
M = TypeVar("M", bound=BaseModel)


class Document(BaseModel):
    """The content of a file; keys that it does not know are another version's, and ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, allow_inf_nan=False, defer_build=True
    )


def is_portable(name: str) -> bool:
    """Tell whether a name is a safe relative path on every system: it stays in its folder, and
    contains no markup."""
    parts = name.split("/")
    return len(name.encode("utf-8", "replace")) <= 1000 and all(
        _PART.fullmatch(part)
        and len(part.encode()) <= 255
        and part.partition(".")[0].lower() not in _RESERVED
        for part in parts
    )


def _portable(name: str) -> str:
    if not is_portable(name):
        raise ValueError("not a relative path of letters, digits, '_', '-' and '.'")
    return name


Name = Annotated[str, AfterValidator(_portable)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class UnreadableError(CdredError):
    """A file whose content is not known: it is another user's, or its disk fails."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, never to wait for one who writes into it.

    Raises OSError, or CdredError when it is no regular file: a directory, a FIFO, a device.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise CdredError(f"{path}: not a regular file")
    return os.fdopen(handle, "rb")


def open_to_append(path: Path) -> BufferedRandom:
    """Open a file of our own for reading, and writing at its end; never through a link, never to
    wait for one who reads from it.

    Raises OSError, or CdredError when it is no regular file.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    if path.is_symlink():
        raise CdredError(f"{path}: a link; nothing is written through it")
    handle = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise CdredError(f"{path}: not a regular file")
    return os.fdopen(handle, "rb+")


def replace(path: Path, content: bytes | memoryview, aside: Path, durable: bool = False) -> None:
    """Write a file by way of another beside it, at once or not at all; a link that stands in either
    place is replaced, not followed. `durable`: on the disk when this returns. Raises OSError."""
    try:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        with aside.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a regular file. Raises CdredError when it cannot be read, or is larger."""
    try:
        with open_regular(path) as file:
            content = file.read(largest + 1)
    except FileNotFoundError:
        raise CdredError(f"{path}: missing") from None
    except OSError as exc:
        raise UnreadableError(f"{path}: cannot be read: {exc.strerror}") from None
    if len(content) > largest:
        raise CdredError(f"{path}: larger than {largest // 2**20} MB, as none that cdred writes is")
    return content


def read_text(path: Path, largest: int = LARGEST) -> str:
    """As `read_bytes`, of a file in UTF-8."""
    try:
        return read_bytes(path, largest).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise CdredError(f"{path}: not UTF-8, at byte {exc.start}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The table in a JSON file. Raises CdredError when it is not there or not plain data."""
    return parse(read_text(path), str(path))


def parse(text: str, where: str) -> dict[str, Any]:
    """The table that JSON text holds: no key twice, no number that is not finite, no text that a
    terminal would obey, nested at most DEEPEST deep. Raises CdredError."""
    try:
        content = json.loads(text, parse_constant=_not_finite, object_pairs_hook=_table)
        _check_plain(content)
    except RecursionError:
        raise CdredError(f"{where}: nested more than {DEEPEST} deep") from None
    except ValueError as exc:
        raise CdredError(f"{where}: not valid JSON: {str(exc)[:LONGEST]}") from None
    if not isinstance(content, dict):
        raise CdredError(f"{where}: holds no table")
    return content


def read(path: Path, model: type[M]) -> M:
    """The content of a JSON file. Raises CdredError when it is not what `model` describes."""
    return check(model, read_json(path), str(path))


def check(model: type[M], content: Any, where: str) -> M:
    """`content` as a `model`. Raises CdredError with the first thing that is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        keys = ".".join(str(part)[:LONGEST] for part in error["loc"] if part != "[key]")
        reason = error["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
        raise CdredError(f"{where}: {keys}: {reason}") from None


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key stands twice in a table")
    return table


def _check_plain(content: Any) -> None:
    """Raise ValueError for text or a number that is not plain, RecursionError for depth."""
    level = [content]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and not value.isprintable() and any(map(is_control, value)):
                raise ValueError("a control character in its text")
            elif isinstance(value, float) and not math.isfinite(value):
                raise ValueError("a number that is too large")
        if not inner:
            return
        level = inner
    raise RecursionError
