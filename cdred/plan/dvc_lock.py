"""The records of DVC, dvc.lock and its listings of directories: files that git merges and others
write, read as data alone and within bounds. What is wrong with one is one CdredError."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from cdred import documents
from cdred.documents import Document, Name
from cdred.errors import CdredError, reason

FILE = Path("dvc.lock")
LARGEST = 64 * 2**20  # bytes: an experiment of 5,000 agents has 12 million
DEEPEST = 50  # tables and lists within each other, as in a configuration
LONGEST_TEXT = 100_000  # letters of one value
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)

Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]


def _below(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("leads out of its folder")
    return name


class Dependency(Document):
    """An input of a stage. It may lie anywhere."""

    path: Annotated[str, Field(max_length=4096)]
    md5: Md5 | None = None


class Output(Document):
    """The artifact of a stage, which may be removed where it is damaged."""

    path: Name
    md5: Md5 | None = None


class Stage(Document):
    """A stage as it was run last."""

    cmd: Any = None
    params: dict[str, Any] = Field(default_factory=dict)
    deps: list[Dependency] = Field(default_factory=list)
    outs: list[Output] = Field(default_factory=list)


class Lock(Document):
    """The content of dvc.lock."""

    stages: dict[str, Stage] = Field(default_factory=dict)


class Listed(Document):
    """A file of a directory, in its listing."""

    relpath: Annotated[str, AfterValidator(_below)]
    md5: Md5


_LISTING = TypeAdapter(list[Listed])


def stages(root: Path) -> dict[str, Stage]:
    """The stages that dvc.lock records, none where there is no such file.

    Raises CdredError when it is not as DVC writes it.
    """
    file = root / FILE
    if not file.exists() and not file.is_symlink():
        return {}
    try:
        content = load(documents.read_text(file, LARGEST)) or {}
        if not isinstance(content, dict):
            raise ValueError("not a table")
        return documents.check(Lock, content, FILE.name).stages
    except Exception as exc:  # of a merge, an editor or a disk, in the words of the YAML library
        why = reason(exc).removeprefix(f"{file}: ").removeprefix(f"{FILE}: ")
        raise CdredError(
            f"{FILE}: not as DVC writes it ({why}); resolve it, or remove it: `cdred record` "
            f"writes it again"
        ) from None


def load(text: str) -> Any:
    """The plain data of YAML text as DVC writes it: without aliases, nested at most DEEPEST deep.

    Raises ValueError or the YAML library's own error when it is not.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):  # which does not recurse, as loading does
        depth += isinstance(event, _OPENING)
        depth -= isinstance(event, _CLOSING)
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("an alias")
        # A number to the base 60 takes the square of its length to read.
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST_TEXT:
            raise ValueError(f"a text of more than {LONGEST_TEXT} letters")
    return yaml.load(text, Loader=_LOADER)


def listing(file: Path) -> dict[str, str]:
    """The MD5 of each file of a directory, by its path in there, that a listing in DVC's cache
    holds. Raises CdredError when that is not as DVC writes it."""
    try:
        entries = _LISTING.validate_json(documents.read_bytes(file, LARGEST))
    except ValidationError as exc:
        raise CdredError(f"{file}: not a listing of DVC's: {exc.errors()[0]['msg']}") from None
    return {entry.relpath: entry.md5 for entry in entries}
