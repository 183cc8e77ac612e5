"""The configuration, from the models that read it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from cdred import methods
from cdred.config.schema import Config, Demos, Expert, Run
from cdred.learning.display import display_of
from cdred.learning.settings import PRESETS, Settings, WorldModelSettings
from cdred.reference.markdown import NOTE, table, text

HEAD = ("key", "value", "default", "")
SETTINGS = ("setting", "value", *(f"`{preset}`" for preset in PRESETS), "")
ENTRIES = {"experts": get_args(Expert), "demos": get_args(Demos)}


def page() -> str:
    return text(
        "# Configuration", NOTE,
        "The keys of `params.yaml` and of the overlays in `config/`. How the tables go together: "
        "[config/README.md](../../config/README.md); editors complete by `config/schema.json`. An "
        "unknown key, a wrong type or a number out of bounds is an error that names the line.",
        *_tables(), *_settings(),
    )  # fmt: skip


def _tables() -> Iterator[str]:
    for key, field in Config.model_fields.items():
        yield f"## {key}"
        if key in ENTRIES:
            yield "Named entries, told apart by `source`."
            for model in ENTRIES[key]:
                sources = get_args(model.model_fields["source"].annotation)
                yield f"### {key}: {', '.join(f'source {name}' for name in sources)}"
                yield from _keys(model)
            continue
        yield from _keys(Run if key == "runs" else field.annotation)


def _keys(model: Any) -> Iterator[str]:
    assert issubclass(model, BaseModel)
    yield inspect.getdoc(model) or ""
    yield table(
        HEAD,
        (
            (f"`{name}`", _kind(schema), _default(model, name), _explained(model, name))
            for name, schema in sorted(
                _properties(model).items(), key=lambda item: item[0] != "source"
            )
        ),
    )


def _settings() -> Iterator[str]:
    yield "## Settings of every method"
    yield (
        "They stand flat in an entry of `runs`, or of `experts` with `source: train`, over its "
        f"`preset`: {' or '.join(f'`{name}`' for name in PRESETS)}, the first if none is named."
    )
    yield _rows(Settings, Settings.model_fields)
    yield "## Settings of methods with a world model"
    yield _rows(WorldModelSettings, _changed(WorldModelSettings, Settings))
    for method in methods.built_in():
        yield from _method(method)


def _method(method: methods.Method) -> Iterator[str]:
    kind = method.settings
    base = WorldModelSettings if issubclass(kind, WorldModelSettings) else Settings
    what = "`experts` with `source: train`" if not method.imitates else f"`method: {method.name}`"
    yield f"## Settings of {display_of(method).label}"
    beyond = _changed(kind, base)
    shared = "a world model" if base is WorldModelSettings else "every method"
    if not beyond:
        yield f"{what}: those of {shared}, as they are."
        return
    yield f"{what}: those of {shared}, and what is new or other here."
    yield _rows(kind, beyond)


def _changed(kind: type[Settings], base: type[Settings]) -> list[str]:
    """The settings that `base` has not, or has with other values."""
    return [
        name
        for name in kind.model_fields
        if name not in base.model_fields
        or any(_preset(kind, name, preset) != _preset(base, name, preset) for preset in PRESETS)
    ]


def _rows(kind: type[Settings], names: Iterable[str]) -> str:
    properties = _properties(kind)
    return table(
        SETTINGS,
        (
            (
                f"`{name}`", _kind(properties[name]),
                *(f"`{_plain(_preset(kind, name, preset))}`" for preset in PRESETS),
                _explained(kind, name),
            )
            for name in names
        ),
    )  # fmt: skip


def _preset(kind: type[Settings], name: str, preset: str) -> Any:
    return kind.preset_values(preset).get(name, kind.model_fields[name].default)


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    properties = model.model_json_schema()["properties"]
    return {name: schema for name, schema in properties.items() if name != "settings"}


def _kind(schema: dict[str, Any]) -> str:
    """The values that a key may have, in words."""
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{_plain(value)}`" for value in values)
    kind = {
        "integer": "whole number", "number": "number", "string": "text",
        "boolean": "`true`, `false`", "null": "`null`", "object": "mapping",
    }  # fmt: skip
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    if schema["type"] == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_kind(schema['additionalProperties'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMaximum")
    bounds = "" if low is None else f", {_plain(low)} to {_plain(high)}"
    if above is not None:
        bounds = f", {_plain(low)} to below {_plain(above)}"
    return kind[schema["type"]] + bounds


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    return f"`{_plain(field.get_default(call_default_factory=True))}`"


def _explained(model: type[BaseModel], name: str) -> str:
    """The description of a key; a subclass that only gives another default does not repeat it."""
    for base in model.__mro__:
        fields = base.model_fields if issubclass(base, BaseModel) else {}
        if name in fields and (description := fields[name].description):
            return description
    return ""


def _plain(value: Any) -> str:
    """A value as YAML has it, large and small numbers short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float) and abs(value) >= 1e7:
        return f"{value:.0e}".replace("e+", "e") if value == float(f"{value:.0e}") else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
