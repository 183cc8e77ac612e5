"""The JSON schema of the configuration, for editors: of params.yaml and of overlays, which may give
any part of it. What entries must agree on is checked by `rules` alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from cdred import methods
from cdred.config.schema import Config, Demos, Entry, Run, TrainedExpert
from cdred.config.tables import DEMOS, EXPERTS, NAME, every_setting
from cdred.learning.settings import PRESETS

REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"  # a method of one's own


def text() -> str:
    """The schema as it stands in config/schema.json."""
    return json.dumps(build(), indent=1) + "\n"


def build() -> dict[str, Any]:
    """The schema as plain data."""
    fields = Config.model_fields
    entries = {"experts": _experts(), "demos": map(_entry, DEMOS), "runs": _runs()}
    tables = {
        key: _table_of(list(entries[key])) if key in entries else _properties_of(field.annotation)
        for key, field in fields.items()
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of cdred",
        "description": Config.__doc__,
    } | _object({"extends": {"type": "string", "description": "an overlay's base"}, **tables})


def _table_of(variants: list[dict[str, Any]]) -> dict[str, Any]:
    """A table of named entries."""
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"anyOf": variants},
    }


def _experts() -> Iterable[dict[str, Any]]:
    for model in EXPERTS:
        if model is TrainedExpert:
            yield _with_settings(model, methods.find(methods.EXPERT), {})
        else:
            yield _entry(model)


def _runs() -> Iterable[dict[str, Any]]:
    for method in methods.built_in():
        if method.imitates:
            yield _with_settings(Run, method, {"method": {"const": method.name}})
    yield _object(_properties(Run) | {"method": {"pattern": REFERENCE}}) | {
        "additionalProperties": True
    }


def _with_settings(
    model: type[Entry], method: methods.Method, more: dict[str, Any]
) -> dict[str, Any]:
    """An entry with its method's settings; sizes that other methods have are ignored."""
    ignored: dict[str, Any] = {name: {} for name, asks in every_setting().items() if not asks}
    preset = {"preset": {"enum": list(PRESETS), "default": PRESETS[0]}}
    settings = _properties(method.settings)
    return _object(ignored | settings | preset | _properties(model) | more)


def _entry(model: type[Entry] | type[Demos]) -> dict[str, Any]:
    return _object(_properties(model))


def _properties_of(model: Any) -> dict[str, Any]:
    assert issubclass(model, BaseModel)
    return _object(_properties(model)) | {"description": model.__doc__}


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    properties = model.model_json_schema()["properties"]
    return {
        name: {key: value for key, value in schema.items() if key != "title"}
        for name, schema in properties.items()
        if name != "settings"
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}
