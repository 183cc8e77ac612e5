"""Where the code of each stage begins: the modules from which a job's code is found.

The one table to change when a stage's work moves to another module, or when it loads a module by a
name that no import statement holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cdred import suites

if TYPE_CHECKING:
    from cdred.methods import Method

DEVICE, SAVING = "cdred.learning.device", "cdred.learning.saving"
TRAINING = (DEVICE, SAVING, "cdred.learning.train")
DEMOS = (DEVICE, "cdred.demos.dataset", "cdred.demos.selection")
# stage, and where what it works on comes from -> modules
ENTRIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("expert", "train"): TRAINING,
    ("expert", "scripted"): (DEVICE, SAVING),
    ("expert", "checkpoint"): (DEVICE, SAVING, "cdred.learning.checkpoint"),
    ("expert", "hub"): (DEVICE, SAVING, "cdred.learning.checkpoint"),
    ("demos", "expert"): (*DEMOS, SAVING),
    ("demos", "others"): (*DEMOS, "cdred.demos.importers"),
    ("imitate", ""): (*TRAINING, "cdred.demos.dataset"),
    ("evaluate", ""): (DEVICE, SAVING, "cdred.evaluation", "cdred.envs.video"),
    ("report", ""): ("cdred.report",),
}


def entry_modules(
    stage: str, source: str, methods: tuple[Method, ...], tasks: tuple[suites.Task, ...]
) -> tuple[str, ...]:
    """The modules where the code of a job begins that works on `tasks` with agents of `methods`."""
    if stage == "report":
        loaded = [*displays(methods), *(method.module for method in methods)]
        loaded += [f"cdred.suites.{name}.tasks" for name in suites.NAMES]  # it looks names up
    else:
        loaded = [module for method in methods for module in method.modules]
        acting = stage != "imitate"  # a scripted policy may act in the others
        loaded += [module for task in tasks for module in suites.modules(task, acting)]
    return (*ENTRIES[stage, source], *dict.fromkeys(loaded))


def displays(methods: Iterable[Method]) -> tuple[str, ...]:
    """The modules that say how methods are presented."""
    named = (
        method.display.partition(":")[0] for method in methods if isinstance(method.display, str)
    )
    return tuple(dict.fromkeys(named))
