"""The page of what `import cdred` gives, from signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import cdred
from cdred.api import Evaluation
from cdred.envs.episodes import Episode
from cdred.hub.pull import Pulled
from cdred.reference.markdown import NOTE, text

WIDE = 88
RESULTS = (Evaluation, Episode, Pulled)  # what functions return, beside agents and environments
AGENT = ("from_pretrained", "reset", "act", "acts_by", "save")
INTRODUCTION = """`import cdred` is light: what a name needs is loaded when it is first used. What a
user can mend is a `cdred.errors.CdredError` of one line. Examples:
[examples/in_python.py](../../examples/in_python.py). `import cdred.gym` registers every task with
Gymnasium, as `gymnasium.make("cdred/cup-catch")`."""


def page() -> str:
    return text("# Python", NOTE, INTRODUCTION, *_all())


def _all() -> Iterator[str]:
    for name in cdred.__all__:
        member = getattr(cdred, name)
        if inspect.isclass(member):
            yield from _class(name, member, AGENT)
        else:
            yield f"## cdred.{name}"
            yield from _described(name, member)
    yield "## What functions return"
    for kind in RESULTS:
        yield f"### {kind.__name__}"
        yield _documentation(kind)
        fields = "\n".join(f"{key}: {value}" for key, value in kind.__annotations__.items())
        properties = [
            f"{key}: {getter.__annotations__['return']}"
            for key, value in vars(kind).items()
            if (getter := getattr(value, "fget", None) or getattr(value, "func", None))
        ]
        yield "```python\n" + "\n".join([fields, *properties]) + "\n```"


def _class(name: str, kind: type, members: tuple[str, ...]) -> Iterator[str]:
    yield f"## cdred.{name}"
    yield _documentation(kind)
    for member in members:
        yield f"### {name}.{member}"
        yield from _described(member, getattr(kind, member))


def _described(name: str, function: Any) -> Iterator[str]:
    yield f"```python\n{_signature(name, function)}\n```"
    yield _documentation(function)


def _documentation(what: Any) -> str:
    return (inspect.getdoc(what) or "").strip()


def _signature(name: str, function: Any) -> str:
    """The signature as it is written: annotations are text."""
    signature = inspect.signature(function)
    parts, keywords = [], False
    for key, p in signature.parameters.items():
        if key == "self":
            continue
        if p.kind is p.KEYWORD_ONLY and not keywords:
            parts.append("*")
            keywords = True
        stars = "*" * (1 * (p.kind is p.VAR_POSITIONAL) + 2 * (p.kind is p.VAR_KEYWORD))
        keywords = keywords or p.kind is p.VAR_POSITIONAL
        default = "" if p.default is p.empty else f" = {p.default!r}"
        parts.append(f"{stars}{key}: {p.annotation}{default}")
    result = f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= WIDE:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){result}"])
