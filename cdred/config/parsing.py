"""YAML as plain data, with the line of each key, and plain data as YAML. The boundary where others'
configurations come in.

Scalars are read as YAML 1.2 reads them, as DVC does, so that both engines see the same values. A
plain scalar that another version of YAML reads otherwise (`yes`, `010`, `1:30`, `1_000`, dates) is
refused. No tag creates an object, and every size is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cdred.errors import CdredError

Place = dict[tuple[str, ...], str]  # key path -> "file:line"

LARGEST = 2**18  # bytes of a file
LONGEST_TEXT = 1000  # characters of a scalar
MOST_NODES = 20_000  # of its values, aliases written out
DEEPEST = 50
LONGEST_ECHO = 80  # characters of a value, in a message

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
# What some versions of YAML read as a number, a truth or a date, and others as text or another.
_DIGITS = re.compile(
    r"([-+]?)(0b[01][01_]*|0o[0-7][0-7_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)"
)
_DECIMALS = re.compile(r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_TRUTH = re.compile(r"yes|on|no|off", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"  # the tag of scalars without quotes or a tag of their own


def short(value: Any, longest: int = LONGEST_ECHO) -> str:
    """A value as text, cut to what a line has room for."""
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


class _Loader(yaml.SafeLoader):
    """Composes nodes, no deeper and no more than are allowed; leaves it to `plain` what plain
    scalars mean."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.count = self.depth = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return f"{_TAG}merge" if value == "<<" else _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.count += 1
        self.depth += 1
        problem = None
        if self.count > 2 * MOST_NODES:  # keys and values
            problem = f"more than {MOST_NODES} values"
        if self.depth > DEEPEST:
            problem = f"nested more than {DEEPEST} deep"
        if problem:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(path: Path) -> tuple[dict[str, Any], Place]:
    """A YAML mapping and the line of each of its keys.

    Raises CdredError naming file and line: of a duplicate key, a tag, an alias of itself, a scalar
    that versions of YAML read differently, or what is no YAML.
    """
    text = _text(path)
    with _one_line(path, text):
        root = yaml.compose(text, Loader=_Loader)
    if not isinstance(root, yaml.MappingNode):
        raise CdredError(f"{path}: expected a mapping of keys")
    reader = _Reader(path)
    return reader.value(root, ()), reader.places


def dump_yaml(data: Any, width: int = 80) -> str:
    """Plain data as YAML that `read_yaml`, and every version of YAML, reads as the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=width)


class _Dumper(yaml.SafeDumper):
    """A writer of YAML 1.1 that quotes the text which 1.2 takes for something else, such as 1e3."""


def _quoted_where_needed(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_text = isinstance(plain(text), str) and other_reading(text) is None
    return dumper.represent_scalar(f"{_TAG}str", text, style=None if is_text else "'")


_Dumper.add_representer(str, _quoted_where_needed)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise CdredError(f"{path}: cannot be read: not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise CdredError(f"{path}: no such file; run cdred in the checkout's root") from None
    except (OSError, ValueError) as exc:
        raise CdredError(f"{short(path)}: cannot be read: {_reason(exc)}") from None
    if len(content) > LARGEST:
        raise CdredError(f"{path}: larger than {LARGEST} bytes: not a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise CdredError(f"{path}:{line}: not text in UTF-8; save it in that encoding") from None


@contextmanager
def _one_line(path: Path, text: str) -> Iterator[None]:
    """Turn whatever the YAML library raises into a line with the place in the file."""
    try:
        yield
    except Exception as exc:
        line = None
        if (mark := getattr(exc, "problem_mark", None)) is not None:
            line = mark.line
        elif isinstance(position := getattr(exc, "position", None), int):
            line = text.count("\n", 0, position)
        where = str(path) if line is None else f"{path}:{line + 1}"
        problem = getattr(exc, "problem", None) or getattr(exc, "reason", None) or _reason(exc)
        raise CdredError(f"{where}: not valid YAML: {short(problem, 120)}") from None


def _reason(exc: Exception) -> str:
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return short(" ".join(text.split()), 200)


class _Reader:
    """Plain data of a YAML file's nodes."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self.places: Place = {(): str(path)}
        self.inside: list[yaml.Node] = []  # the nodes around the one that is read

    def fail(self, node: yaml.Node, message: str) -> CdredError:
        return CdredError(f"{self.line(node)}: {message}")

    def line(self, node: yaml.Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}"

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.count += 1
        if self.count > MOST_NODES:
            raise self.fail(node, f"more than {MOST_NODES} values, aliases written out")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if any(node is outer for outer in self.inside):
            raise self.fail(node, "an alias of itself")
        if len(self.inside) >= DEEPEST:
            raise self.fail(node, f"nested more than {DEEPEST} deep, aliases written out")
        self.inside.append(node)
        data = self.mapping(node, path) if isinstance(node, yaml.MappingNode) else []
        if isinstance(node, yaml.SequenceNode):
            self.check_tag(node, "seq")
            for k, item in enumerate(node.value):
                self.places[(*path, str(k))] = self.line(item)
                data.append(self.value(item, (*path, str(k))))
        self.inside.pop()
        return data

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> Any:
        """Its own keys over those that `<<` merges."""
        self.check_tag(node, "map")
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged |= self.merged(value, path)
                continue
            name = self.key(key, path)
            here = (*path, name)
            if name in own:
                raise self.fail(key, f"{_dotted(here)}: this key stands here twice")
            if name in merged:
                self.forget(here)
            self.places[here] = self.line(key)
            own[name] = self.value(value, here)
        return merged | own

    def key(self, node: yaml.Node, path: tuple[str, ...]) -> str:
        """A key, which is text to every version of YAML."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.fail(node, f"{_dotted(path)}: a key must be a name")
        name = self.scalar(node)
        if not isinstance(name, str):
            key = _dotted((*path, node.value))
            raise self.fail(node, f"{key}: a key must be text; put it in quotes")
        return name

    def merged(self, node: yaml.Node, path: tuple[str, ...]) -> dict[str, Any]:
        tables: dict[str, Any] = {}
        for item in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
            if not isinstance(item, yaml.MappingNode):  # nor, in YAML, sequences of sequences
                raise self.fail(item, f"{_dotted((*path, '<<'))}: merges mappings only")
            tables |= self.value(item, path)  # the earlier ones win
        return tables

    def forget(self, path: tuple[str, ...]) -> None:
        """The places in a merged value that another replaces."""
        for place in [p for p in self.places if p[: len(path)] == path]:
            del self.places[place]

    def check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            tag = short(node.tag.replace(_TAG, "!!"))
            raise self.fail(node, f"{tag if tag.isprintable() else 'a tag'}: tags are not read")

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        if len(text) > LONGEST_TEXT:
            raise self.fail(node, f"{short(text)!r}: longer than {LONGEST_TEXT} characters")
        if not text.isprintable():
            raise self.fail(node, f"{short(text)!r}: has a line break or a control character")
        if node.tag != _PLAIN:
            self.check_tag(node, "str")
            return text
        if (reading := other_reading(text)) is not None:
            raise self.fail(node, f"{short(text)}: {reading}")
        return plain(text)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(short(part) for part in path) or "configuration"


def plain(text: str) -> Any:
    """The value of a scalar without quotes or tag, by YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text) if len(text) < 100 else float("inf")
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def other_reading(text: str) -> str | None:
    """The reason why a scalar without quotes means different things to versions of YAML, and what
    to write; None where all agree."""
    if _INT.fullmatch(text) or _FLOAT.fullmatch(text):
        return None
    quotes = "put it in quotes if it is text"
    if _TRUTH.fullmatch(text):
        meant = "true" if text.lower() in ("yes", "on") else "false"
        return f"{meant} to some versions of YAML; write {meant}, or {quotes}"
    if _DATE.fullmatch(text):
        return f"a date to some versions of YAML; {quotes}"
    if numbers := _numbers(text):
        meant = " or ".join(short(number) for number in numbers)
        return f"{meant} to some versions of YAML; write {meant}, or {quotes}"
    return None


def _numbers(text: str) -> list[int | float]:
    """The numbers that versions of YAML take a scalar for: octal, base 60, with `_`."""
    bare = text.replace("_", "")
    if _BASE_60.fullmatch(text):
        sign, total = (-1 if bare.startswith("-") else 1), 0.0
        for part in bare.lstrip("+-").split(":"):
            total = 60 * total + float(part)
        return [sign * (int(total) if total.is_integer() else total)]
    if match := _DIGITS.fullmatch(text):
        bases = [0] if match[2][:2].lower() in ("0b", "0o", "0x") else [10]
        if bases == [10] and match[2].startswith("0") and not set(bare) & set("89"):
            bases = [8, 10]
        return list(dict.fromkeys(int(bare, base) for base in bases))
    return [float(bare)] if _DECIMALS.fullmatch(text) else []
