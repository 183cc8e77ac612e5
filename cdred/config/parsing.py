"""YAML as plain data, with the line of each key.

Scalars are read as YAML 1.2 reads them, as DVC does, so that both engines see the same values;
what another version would read otherwise (`yes`, `010`, `1:30`, `1_000`, dates) is text, which a
schema that expects a number then refuses. No tag creates an object.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cdred.errors import CdredError

Place = dict[tuple[str, ...], str]  # key path -> "file:line"

LARGEST = 2**20  # bytes of a file
MOST_NODES = 100_000  # of its values, aliases written out
DEEPEST = 50

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"  # the tag of scalars without quotes or a tag of their own


class _Loader(yaml.SafeLoader):
    """Leaves it to `plain` what plain scalars mean."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return f"{_TAG}merge" if value == "<<" else _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def read_yaml(path: Path) -> tuple[dict[str, Any], Place]:
    """A YAML mapping and the line of each of its keys.

    Raises CdredError naming file and line: of a duplicate key, a tag, an alias of itself, or what
    is no YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise CdredError(f"{path}: no such file; run cdred in the checkout's root") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise CdredError(f"{path}: cannot be read: {exc}") from None
    if len(content) > LARGEST:
        raise CdredError(f"{path}: larger than {LARGEST} bytes: not a configuration")
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(exc, "problem", None) or "not readable"
        raise CdredError(f"{where}: not valid YAML: {problem}") from None
    except RecursionError:
        raise CdredError(f"{path}: nested more than {DEEPEST} deep") from None
    if not isinstance(root, yaml.MappingNode):
        raise CdredError(f"{path}: expected a mapping of keys")
    reader = _Reader(path)
    return reader.mapping(root, ()), reader.places


class _Reader:
    """Plain data of a YAML file's nodes."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self.places: Place = {(): str(path)}

    def fail(self, node: yaml.Node, message: str) -> CdredError:
        return CdredError(f"{self.line(node)}: {message}")

    def line(self, node: yaml.Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}"

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.count += 1
        if self.count > MOST_NODES:
            raise self.fail(node, f"more than {MOST_NODES} values, aliases written out")
        if len(path) > DEEPEST:
            raise self.fail(node, f"nested more than {DEEPEST} deep, or an alias of itself")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self.check_tag(node, "seq")
            items = []
            for k, item in enumerate(node.value):
                self.places[(*path, str(k))] = self.line(item)
                items.append(self.value(item, (*path, str(k))))
            return items
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        """Its own keys over those that `<<` merges."""
        self.check_tag(node, "map")
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.fail(key, f"{'.'.join(path) or 'configuration'}: a key must be a name")
            if key.tag == f"{_TAG}merge":
                merged |= self.merged(value, path)
                continue
            here = (*path, key.value)
            if key.value in own:
                raise self.fail(key, f"{'.'.join(here)}: this key stands here twice")
            if key.value in merged:
                self.forget(here)
            self.places[here] = self.line(key)
            own[key.value] = self.value(value, here)
        return merged | own

    def merged(self, node: yaml.Node, path: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(node, yaml.SequenceNode):  # the earlier ones win
            tables = [self.merged(item, path) for item in reversed(node.value)]
            return {key: value for table in tables for key, value in table.items()}
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, f"{'.'.join((*path, '<<'))}: merges mappings alone")
        found = self.value(node, path)
        assert isinstance(found, dict)
        return found

    def forget(self, path: tuple[str, ...]) -> None:
        """The places in a merged value that another replaces."""
        for place in [p for p in self.places if p[: len(path)] == path]:
            del self.places[place]

    def check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            raise self.fail(node, f"{node.tag.replace(_TAG, '!!')}: tags are not read")

    def scalar(self, node: yaml.Node) -> Any:
        if node.tag == _PLAIN:
            return plain(node.value)
        self.check_tag(node, "str")
        return str(node.value)


def plain(text: str) -> Any:
    """The value of a scalar without quotes or tag, by YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text) if len(text) < 100 else float("inf")
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
