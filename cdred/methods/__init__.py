"""Methods: one folder each, found by name, loaded when one of its jobs needs it.

A folder holds `method.py` (the constant METHOD, a `Method`), `settings.py` (its settings, with
bounds, presets and rules), `display.py` (how the report and cards present it) and what computes: a
reward model or a trainer. The first three import no numpy and no torch: the engines read them while
they plan. Nothing here imports a folder statically, so that the code of a job is that of its own
method.

A method of one's own is a `Method` in a module of the checkout, named `module:NAME` in a run's
`method:`, or an entry point of the group `cdred.methods`: docs/extending.md.
"""

from cdred.learning.registry import (
    EXPERT,
    Method,
    built_in,
    find,
    folders,
    load,
    names,
)

__all__ = [
    "EXPERT",
    "Method",
    "built_in",
    "find",
    "folders",
    "load",
    "names",
]
