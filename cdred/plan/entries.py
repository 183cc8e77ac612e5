"""The beginnings of each stage's code: the modules from whose imports a job's code is found.

The one table to change when a stage's work moves to another module, or when it loads a module by a
name that no import statement holds.
"""

from __future__ import annotations

from collections.abc import Iterable

from cdred import methods, suites
from cdred.envs.tasks import find
from cdred.report import published

LOADING = ("cdred.learning.device", "cdred.learning.saving")
TRAINING = (*LOADING, "cdred.learning.train")
# stage, and where what it makes or reads comes from -> modules
ENTRIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("expert", "train"): TRAINING,
    ("expert", "scripted"): (*LOADING, "cdred.learning.scripted"),
    ("expert", "checkpoint"): (*LOADING, "cdred.learning.checkpoint"),
    ("expert", "hub"): (*LOADING, "cdred.learning.checkpoint"),
    ("demos", "expert"): (*LOADING, "cdred.demos.dataset", "cdred.demos.selection"),
    ("demos", "others"): ("cdred.demos.dataset", "cdred.demos.importers", "cdred.demos.selection"),
    ("imitate", ""): (*TRAINING, "cdred.demos.dataset"),
    ("evaluate", ""): (*LOADING, "cdred.envs.video", "cdred.evaluation"),
    ("report", ""): ("cdred.report",),
}
# The modules of a suite that are loaded by its name, where it has them.
SUITE = ("tasks", "simulator", "scripted")


def stage_modules(stage: str, source: str = "") -> tuple[str, ...]:
    """The modules of a stage, whatever method and task it works on."""
    return ENTRIES[stage, source]


def suite_modules(tasks: Iterable[str]) -> list[str]:
    """The modules that the tasks' suites may have."""
    names = dict.fromkeys(find(task).suite for task in tasks)
    return [f"cdred.suites.{name}.{part}" for name in names for part in SUITE]


def own_modules(tasks: Iterable[str]) -> list[str]:
    """The modules of the tasks that are named by reference, `module:function`."""
    references = (find(task).simulator.partition(":") for task in tasks)
    return [module for module, colon, _ in references if colon]


def agent_modules(method: str | None) -> list[str]:
    """The modules of an agent's method; of an agent that somebody trained, whose method is not
    known, those of all."""
    chosen = methods.built_in() if method is None else [methods.find(method)]
    return [module for one in chosen for module in one.modules]


def display_modules(names: Iterable[str]) -> list[str]:
    """The modules that say how methods are presented, where they say so in one of their own."""
    displays = [methods.find(name).display for name in names]
    return [display.partition(":")[0] for display in displays if isinstance(display, str)]


def report_modules(names: list[str]) -> list[str]:
    """The modules that a report of runs by the methods `names` loads: these methods' declarations,
    the displays of these and of all with published numbers, and every suite's tasks."""
    definitions = [methods.find(name).module for name in names]
    tasks = [f"cdred.suites.{suite}.tasks" for suite in suites.NAMES]
    return [*definitions, *display_modules([*names, *published.methods_named()]), *tasks]
