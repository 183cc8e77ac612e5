"""Methods and tasks of one's own: `module:name` of a module in the checkout, or an entry point.

Standard library alone, and nothing is imported before `load`: the engines read names while they
plan.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

from cdred.errors import CdredError, nearest

REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def resolve(name: str, group: str) -> str | None:
    """The reference `module:name` that `name` is, or that an installed entry point of `group`
    registers under it; None if it is neither."""
    if REFERENCE.fullmatch(name):
        return name
    from importlib import metadata  # only here: it takes longer to import than the rest

    return next((e.value for e in metadata.entry_points(group=group) if e.name == name), None)


def load(reference: str) -> Any:
    """Import what `module:name` refers to; the working directory is searched last.

    Raises CdredError when there is no such module or name, or importing it fails.
    """
    module_name, _, name = reference.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:  # of whatever the module does
        reason = " ".join(str(exc).split())[:150] or type(exc).__name__
        raise CdredError(f"{reference}: {module_name} cannot be imported: {reason}") from exc
    if not hasattr(module, name):
        valid = [known for known in vars(module) if not known.startswith("_")]
        raise CdredError(f"{reference}: {module_name} has no {name!r}; {nearest(name, valid)}")
    return getattr(module, name)
