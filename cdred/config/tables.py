"""From plain data to the models of `schema`, entry by entry, with messages that name the place."""

from __future__ import annotations

import contextlib
import functools
import re
from pathlib import Path as FilePath
from typing import Any, NoReturn, TypeVar, get_args

from pydantic import BaseModel

from cdred import documents, methods
from cdred.config.messages import Where
from cdred.config.parsing import short
from cdred.config.schema import Config, Demos, Entry, Expert, Run, TrainedExpert
from cdred.errors import CdredError, nearest
from cdred.learning.settings import PRESETS, Settings

NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
NAME_RULE = "lower-case letters and digits, joined by single - or _, as it names files"
LONGEST_NAME = 60  # beside that of a task, in one name of a file
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,9}", re.ASCII)
Path = tuple[str, ...]
E = TypeVar("E", bound=Entry)

EXPERTS: tuple[type[Expert], ...] = get_args(Expert)
DEMOS: tuple[type[Demos], ...] = get_args(Demos)


def read(data: dict[str, Any], where: Where) -> Config:
    """The tables of a configuration; what entries must agree on is checked by `rules`."""
    fields = Config.model_fields
    for key in data:
        if key not in fields:
            where.fail((key,), f"unknown key; {nearest(key, list(fields))}")
    for key, field in fields.items():
        if field.is_required() and key not in data:
            where.fail((key,), "missing")
    runs = where.mapping(data["runs"], ("runs",)).values()
    named_methods = [run.get("method") for run in runs if isinstance(run, dict)]
    where.own_methods = [str(name) for name in named_methods if ":" in str(name)]
    tables: dict[str, Any] = {
        "experts": named(data.get("experts", {}), "experts", where, expert),
        "demos": named(data["demos"], "demos", where, demos),
        "runs": named(data["runs"], "runs", where, run),
    }
    for key in data.keys() - tables.keys():
        model = fields[key].annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        table = where.mapping(data[key], (key,))
        tables[key] = where.build(model, table, (key,))
    return Config(**tables)


def named(data: Any, table: str, where: Where, build: Any) -> dict[str, Any]:
    """A table of named entries."""
    where.mapping(data, (table,))
    for name in data:
        check_name(name, (table, name), where)
    return {
        name: build(where.mapping(entry, (table, name)), (table, name), where)
        for name, entry in data.items()
    }


def check_name(name: str, path: Path, where: Where) -> None:
    """A name that may be that of a file."""
    if not NAME.fullmatch(name):
        where.fail(path, f"{short(name)!r}: not a valid name: {NAME_RULE}")
    if not documents.is_portable(name):
        where.fail(path, "not a valid name: a device has it on some systems")
    if len(name) > LONGEST_NAME:
        where.fail(path, f"longer than {LONGEST_NAME} letters, and it names files")


def expert(data: dict[str, Any], path: Path, where: Where) -> Expert:
    source, model = variant(EXPERTS, data, path, where)
    if model is TrainedExpert:
        method = methods.find(methods.EXPERT)
        return entry(model, method, data, path, f"source: {source}", where)
    check_keys(data, path, model, f"source: {source}", where, EXPERTS)
    return where.build(model, data, path, f"source: {source}")


def demos(data: dict[str, Any], path: Path, where: Where) -> Demos:
    source, model = variant(DEMOS, data, path, where)
    check_keys(data, path, model, f"source: {source}", where, DEMOS)
    return where.build(model, data, path, f"source: {source}")


def run(data: dict[str, Any], path: Path, where: Where) -> Run:
    if "method" not in data:
        where.fail((*path, "method"), "missing")
    name = data["method"]
    method = None
    if isinstance(name, str):
        try:
            method = methods.find(name)
        except CdredError as exc:
            if ":" in name:  # of a module here
                where.fail((*path, "method"), str(exc))
    if method is None or not method.imitates:
        _unknown_method(name, path, where)
    return entry(Run, method, data, path, f"method: {name}", where)


def _unknown_method(name: Any, path: Path, where: Where) -> NoReturn:
    """Fail with the method of a module here that was meant, or the nearest one and all of them."""
    if isinstance(name, str) and (own := _own_method(name)):
        where.fail((*path, "method"), f"no method is called {short(name)!r}; did you mean {own!r}?")
    valid = sorted(methods.names())
    hint = nearest(short(name), valid)
    every = "" if hint.startswith("valid") else f" valid: {', '.join(valid)}"
    where.fail((*path, "method"), f"no method is called {short(name)!r}; {hint}{every}")


def _own_method(name: str) -> str | None:
    """The reference that was meant by the bare name of a module here that declares a method."""
    if not MODULE.fullmatch(name):
        return None
    try:
        text = FilePath(*name.split(".")).with_suffix(".py").read_text("utf-8", "replace")
    except OSError:
        return None
    declared = re.search(r"^(\w+)\b[^=\n]*=\s*(\w+\.)*Method\(", text, re.MULTILINE)
    return f"{name}:{declared[1]}" if declared else None


def entry(
    model: type[E],
    method: methods.Method,
    data: dict[str, Any],
    path: Path,
    role: str,
    where: Where,
) -> E:
    """An entry whose method's settings stand flat beside its own keys, over a preset.

    Sizes that only another method has are left out, so that entries may share them; what asks for
    something that this method does not have is an error.
    """
    settings = method.settings
    if taken := sorted(settings.model_fields.keys() & {*model.model_fields, "preset"}):
        where.fail(
            (*path, "method"), f"it has a setting called {taken[0]!r}, as entries have a key"
        )
    variants = EXPERTS if model is TrainedExpert else (Run,)
    check_keys(data, path, model, role, where, variants, settings)
    preset = data.get("preset", PRESETS[0])
    if not isinstance(preset, str) or preset not in PRESETS:
        where.unknown((*path, "preset"), "preset", preset, list(PRESETS))
    chosen = {key: value for key, value in data.items() if key in settings.model_fields}
    values = where.build(settings, settings.preset_values(preset) | chosen, path)
    own = {key: value for key, value in data.items() if key in model.model_fields}
    return where.build(model, own | {"settings": values}, path)


def variant(
    models: tuple[type[E], ...], data: dict[str, Any], path: Path, where: Where
) -> tuple[str, type[E]]:
    """The source of an entry, and its model."""
    by_source = {
        source: model
        for model in models
        for source in get_args(model.model_fields["source"].annotation)
    }
    source = data.get("source", next(iter(by_source)))
    if not isinstance(source, str) or source not in by_source:
        where.unknown((*path, "source"), "source", source, list(by_source))
    return source, by_source[source]


@functools.cache
def every_setting() -> dict[str, bool]:
    """The settings of all methods; whether each asks for something that only some methods have."""
    specific: dict[str, bool] = {}
    for method in methods.built_in():
        asks = method.settings.all_asks()
        for name in method.settings.model_fields:
            specific[name] = specific.get(name, False) or name in asks
    return specific


def owners_of(setting: str, where: Where) -> list[str]:
    """The methods that have a setting: of those that come with cdred, and of one's own that this
    configuration names."""
    known = [method for method in methods.built_in() if method.imitates]
    for name in where.own_methods:
        with contextlib.suppress(CdredError):
            known.append(methods.find(name))
    return [method.name for method in known if setting in method.settings.model_fields]


def check_keys(
    data: dict[str, Any], path: Path, model: type[Entry], role: str, where: Where,
    variants: tuple[type[Entry], ...], settings: type[Settings] | None = None,
) -> None:  # fmt: skip
    """Fail for the first key that means something in another variant, or nothing at all."""
    own = [name for name in model.model_fields if name != "settings"]
    if settings:
        own += ["preset", *settings.model_fields]
    others = {name for variant in variants for name in variant.model_fields} | {"preset"}
    for key in data:
        if key in own:
            continue
        owners = owners_of(key, where)
        if key not in others and not owners:
            where.fail((*path, key), f"unknown key; {nearest(key, own)}")
        if settings is None or key in others or every_setting().get(key, True):
            whose = f"; a setting of {', '.join(owners)}" if settings and owners else ""
            where.fail((*path, key), f"has no meaning with {role}{whose}")
