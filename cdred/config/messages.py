"""Errors of a configuration as one line: file, line, key, what is wrong, what would be valid."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from cdred.config.parsing import Place, short
from cdred.errors import CdredError, nearest

M = TypeVar("M", bound=BaseModel)

LONGEST = 500  # characters of what is wrong

_KINDS: dict[type, str] = {
    int: "a whole number", float: "a number", str: "text", bool: "true or false",
    dict: "a mapping", list: "a list",
}  # fmt: skip
# What pydantic's types of errors ask for.
_EXPECTED = {
    "int_type": "a whole number", "float_type": "a number", "finite_number": "a number",
    "string_type": "text", "bool_type": "true or false", "list_type": "a list",
    "dict_type": "a mapping of keys",
}  # fmt: skip


def kind(value: Any) -> str:
    """The kind of a value, with the value itself where it is a plain one."""
    if value is None:
        return "nothing"
    name = _KINDS.get(type(value), type(value).__name__)
    return name if isinstance(value, dict | list) else f"{name} ({short(repr(value))})"


class Where:
    """Raises CdredError with the place of what is wrong. `places` are those of the keys of
    `source`."""

    def __init__(self, places: Place, source: str) -> None:
        self.places, self.source = places, source
        self.own_methods: list[str] = []  # the references `module:NAME` that runs name

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        known = path
        while known not in self.places and known:
            known = known[:-1]
        where = self.places.get(known, self.source)
        keys = ".".join(short(key) for key in path) or "configuration"
        raise CdredError(f"{where}: {keys}: {short(message, LONGEST)}")

    def unknown(self, path: tuple[str, ...], what: str, name: Any, valid: list[str]) -> NoReturn:
        """Fail for a name that refers to nothing."""
        text = short(name)
        self.fail(path, f"no {what} is called {text!r}; {nearest(text, valid)}")

    def mapping(self, data: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail(path, f"expected a mapping of keys, got {kind(data)}")
        return data

    def build(
        self, model: type[M], data: dict[str, Any], path: tuple[str, ...], role: str = ""
    ) -> M:
        """A model of plain data; its first error as a line. `role` is what makes it this model."""
        try:
            return model.model_validate(data)
        except ValidationError as exc:
            errors = exc.errors(include_url=False)
            # Of a key that is misspelt and thereby missing, the misspelling is the error.
            error = min(errors, key=lambda error: error["type"] != "extra_forbidden")
            self.explain(model, dict(error), path, role)

    def explain(
        self, model: type[BaseModel], error: dict[str, Any], path: tuple[str, ...], role: str
    ) -> NoReturn:
        """Fail with one of pydantic's errors in words."""
        loc = [str(part) for part in error["loc"] if part != "[key]"]
        here, value, name = (*path, *loc), error["input"], error["type"]
        field = model.model_fields.get(loc[0]) if loc else None
        if name == "missing":
            detail = f": {field.description}" if field and field.description else ""
            self.fail(here, f"missing{detail}{role and f', with {role}'}")
        if name == "extra_forbidden":
            self.fail(here, f"unknown key; {nearest(loc[-1], list(model.model_fields))}")
        if name == "literal_error" and field is not None:
            self.unknown(here, loc[-1], value, [str(v) for v in get_args(field.annotation)])
        if name in _EXPECTED:
            quotes = "; put it in quotes" if name == "string_type" and value is not None else ""
            plain = not isinstance(value, dict | list)
            self.fail(here, f"expected {_EXPECTED[name]}, got {kind(value)}{plain * quotes}")
        limits = bounds(field)
        if limits and isinstance(value, int | float):
            self.fail(here, f"{short(value)} is outside of {limits[0]:g} to {limits[1]:g}")
        if name in ("string_pattern_mismatch", "string_too_short") and field is not None:
            self.fail(here, f"{short(value)!r}: expected {field.description}")
        self.fail(here, f"{kind(value)}: {short(error['msg'])}")


def bounds(field: FieldInfo | None) -> tuple[float, float] | None:
    """The least and the largest value of a field, or of its items."""
    if field is None:
        return None
    limits: dict[str, float] = {}

    def collect(constraints: list[Any]) -> None:
        for constraint in constraints:
            for name in ("ge", "le"):
                if (limit := getattr(constraint, name, None)) is not None:
                    limits[name] = limit
            collect(getattr(constraint, "metadata", []))

    def walk(hint: Any) -> None:
        collect(list(getattr(hint, "__metadata__", ())))
        for inner in get_args(hint):
            walk(inner)

    collect(field.metadata)
    walk(field.annotation)
    return (limits["ge"], limits["le"]) if len(limits) == 2 else None
