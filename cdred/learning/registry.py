"""The interface of a method, and the registry of methods: `cdred.methods` for its users.

It stands here so that the learner knows methods by name alone.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred import plugins
from cdred.errors import CdredError, nearest

if TYPE_CHECKING:
    from cdred.learning.settings import Settings

PACKAGE = "cdred.methods"
GROUP = "cdred.methods"  # of entry points
EXPERT = "true_reward"  # the method that trains experts
# What methods were called by the agents and results of earlier versions.
FORMER_NAMES = {"expert": "true_reward"}


@dataclass(frozen=True)
class Method:
    """A method, as the learner and the tools see it. Heavy parts are named `module:Class`, to be
    loaded by `load`; those of a module that is heavy anyway may be given as they are."""

    settings: type[Settings]
    # Learns a reward for the shared world model (learning/reward_model.py); None: it has none.
    reward_model: str | type | None = None
    # Without a reward model: its networks, made of (settings, obs_shape, action_dim).
    networks: str | type | None = None
    trainer: str | type = "cdred.learning.online_trainer:OnlineTrainer"
    uses_demonstrations: bool = True
    uses_environment_reward: bool = False
    interacts: bool = True  # steps are agent steps in the environment; else they are updates
    plans: bool = True  # may act by planning, if its settings say so
    samples: bool = True  # trains the spread of its policy, so that samples of it mean something
    display: Any = None  # see learning/display.py: no part of what it computes
    name: str = ""  # given by the registry, as is `module`
    module: str = ""

    def __post_init__(self) -> None:
        if (self.reward_model is None) == (self.networks is None):
            raise ValueError("a method has either a reward model or networks of its own")

    @property
    def imitates(self) -> bool:
        """Tell whether runs may name it: it learns from demonstrations, and from no reward."""
        return self.uses_demonstrations and not self.uses_environment_reward

    @property
    def unit(self) -> str:
        """The name of one of its steps."""
        return "step" if self.interacts else "update"

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that are loaded by name; the digest of its jobs follows their imports."""
        parts = (self.reward_model, self.networks, self.trainer)
        named = [part.partition(":")[0] for part in parts if isinstance(part, str)]
        return tuple(dict.fromkeys([self.module, *named]))


def load(part: Any) -> Any:
    """A part of a method, imported if it is named `module:Class`.

    Raises CdredError when it is somebody's own and cannot be.
    """
    if not isinstance(part, str):
        return part
    module, _, name = part.partition(":")
    if not module.startswith("cdred."):
        return plugins.load(part)
    return getattr(importlib.import_module(module), name)


def find(name: str) -> Method:
    """The method called `name`: a folder here, an entry point, or `module:NAME` in the checkout, as
    its module has it now, also after a notebook reloaded it.

    Raises CdredError with the nearest name if there is none, or what is there is no method.
    """
    name = FORMER_NAMES.get(name, name)
    if name in folders():
        return _of_folder(name)
    reference = plugins.resolve(name, GROUP)
    if reference is None:
        raise CdredError(f"no method is called {name!r}; {nearest(name, names())}")
    method = plugins.load(reference)
    if not isinstance(method, Method):
        raise CdredError(
            f"{reference}: expected a cdred.methods.Method, got {type(method).__name__}"
        )
    return replace(method, name=name, module=reference.partition(":")[0])


@functools.cache
def _of_folder(name: str) -> Method:
    module = f"{PACKAGE}.{name}.method"
    return replace(importlib.import_module(module).METHOD, name=name, module=module)


def of_saved(name: str) -> Method:
    """The method of an agent that was read from a file, which must not choose what is imported.

    Raises CdredError when it is `module:NAME` of a module that nobody imported yet.
    """
    module = name.partition(":")[0]
    if plugins.REFERENCE.fullmatch(name) and module not in sys.modules:
        raise CdredError(
            f"its method is {name}, of a module of somebody's own; import {module} first, if you "
            f"trust it"
        )
    return find(name)


@functools.cache
def folders() -> tuple[str, ...]:
    """The methods that come with cdred."""
    path = Path(__file__).parents[1] / "methods"
    return tuple(sorted(m.name for m in pkgutil.iter_modules([str(path)]) if m.ispkg))


def names() -> list[str]:
    """The valid methods of runs, but for `module:NAME`."""
    return [m.name for m in built_in() if m.imitates] + [*plugins.entry_points(GROUP)]


def built_in() -> Iterator[Method]:
    return (find(name) for name in folders())
