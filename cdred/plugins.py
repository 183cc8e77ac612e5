"""Methods and tasks of one's own: `module:name` of a module in the checkout, or an entry point.

Standard library alone, and nothing is imported before `load`: the engines read names while they
plan.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from cdred.errors import CdredError, nearest

LONGEST = 70  # characters of a name, which names files together with that of an entry
REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

_trusted: set[str] = set()


def resolve(name: str, group: str) -> str | None:
    """The reference `module:name` that `name` is, or that an installed entry point of `group`
    registers under it; None if it is neither."""
    if len(name) > LONGEST:
        return None
    if REFERENCE.fullmatch(name):
        return name
    return entry_points(group).get(name)


@functools.cache
def entry_points(group: str) -> dict[str, str]:
    """The references that installed entry points of `group` register, by name."""
    from importlib import metadata  # only here: it takes longer to import than the rest

    entries = metadata.entry_points(group=group)
    return {entry.name: entry.value for entry in reversed([*entries])}  # of two, the first one


def is_trusted(reference: str) -> bool:
    """Tell whether a function may be called because a file names it, which must not choose that:
    its user named it, or imported its module, which is no part of what is installed."""
    return reference in _trusted or _is_users_own(sys.modules.get(reference.partition(":")[0]))


def trust(reference: str) -> Any:
    """As `load`, of what the user named, not a file of somebody's: it may be called from now on."""
    loaded = load(reference)
    _trusted.add(reference)
    return loaded


def _is_users_own(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    paths = sysconfig.get_paths()
    installed = {paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")}
    installed.add(os.path.dirname(__file__))
    return not any(Path(file).resolve().is_relative_to(Path(p).resolve()) for p in installed)


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
