"""Benchmark suites, one folder each: its tasks (`tasks.py`, light) and its simulator (heavy).

Nothing here imports a suite's modules statically: a suite is loaded by its name when one of its
tasks is asked for, so that the code of a job is that of its own suite. Standard library alone: the
engines read the tasks while they plan.
"""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import gymnasium

NAMES = ("dmcontrol", "metaworld", "maniskill2", "own")  # folders, in the order of lists

Measure = Literal["return", "success"]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a task's observation (of `state`) and action, and its episode in agent steps."""

    obs_dim: int
    action_dim: int
    episode_length: int


@dataclass(frozen=True)
class Task:
    """A task of a suite. `simulator` is its name there.

    `measure` is what tells how well an episode went. Without `sizes` they are read from the
    environment, which is built when one of them is first asked for.
    """

    suite: str
    simulator: str
    measure: Measure
    sizes: Sizes | None
    action_repeat: int = 2
    control_mode: str | None = None  # of suites whose robots know several
    scripted: bool = False  # whether its suite's `scripted` module has a policy for it

    @property
    def sized(self) -> bool:
        """Tell whether the sizes are known without building the environment."""
        return self.sizes is not None

    @property
    def obs_dim(self) -> int:
        return self._sizes.obs_dim

    @property
    def action_dim(self) -> int:
        return self._sizes.action_dim

    @property
    def episode_length(self) -> int:
        return self._sizes.episode_length

    @property
    def _sizes(self) -> Sizes:
        return self.sizes or simulator(self.suite).sizes(self)


@dataclass(frozen=True)
class Suite:
    """A suite's light half, the constant `SUITE` of its `tasks` module."""

    label: str
    measure: Measure
    tasks: Mapping[str, Task] = field(default_factory=dict)
    packages: tuple[str, ...] = ()  # that it is made of; every suite may be absent
    last_python: tuple[int, int] | None = None  # that its packages support

    def find(self, name: str) -> Task | None:
        return self.tasks.get(name)


class Simulator(ABC):
    """A suite's heavy half, the constant `SIMULATOR` of its `simulator` module."""

    @abstractmethod
    def build(self, task: Task, view: int | None) -> gymnasium.Env:
        """Build `task` at its own rate; with `view`, `render()` gives (view, view, 3) uint8."""

    def sizes(self, task: Task) -> Sizes:
        """Read the sizes of a task that states none."""
        raise NotImplementedError(f"{task.simulator}: its sizes are stated")

    def reordered(self, task: Task) -> bool:
        """Tell whether versions before 0.2 observed `task` in another order of components."""
        return False

    def missing_assets(self, task: Task) -> str | None:
        """The command that downloads the assets of `task` if they are missing, else None."""
        return None

    def problems(self) -> Iterator[tuple[str, str]]:
        """The uses for which the whole suite is missing something here, each with the reason."""
        return iter(())

    def cannot_film(self) -> str | None:
        """The reason why no machine like this one films the suite's tasks, or None."""
        return None

    def render_variables(self) -> dict[str, str]:
        """Environment variables of a process that is to render. Raises CdredError if none can."""
        return {}


def suite(name: str) -> Suite:
    """The light half of a suite."""
    return cast(Suite, importlib.import_module(f"cdred.suites.{name}.tasks").SUITE)


def not_installed(name: str) -> str | None:
    """The command that installs the suite's packages if one is missing, else None."""
    chosen = suite(name)
    missing = [package for package in chosen.packages if importlib.util.find_spec(package) is None]
    if not missing:
        return None
    reason = f"{chosen.label} is not installed ({', '.join(missing)}); "
    last = chosen.last_python
    if last is not None and sys.version_info[:2] > last:
        here, newest = platform.python_version(), ".".join(map(str, last))
        return f"{reason}it has no version for Python {here}, only up to {newest}"
    return f"{reason}pip install 'cdred[{name}]', or `make setup` in a checkout"


def simulator(name: str) -> Simulator:
    """The heavy half of a suite."""
    return cast(Simulator, importlib.import_module(f"cdred.suites.{name}.simulator").SIMULATOR)


def scripted_policy(task: Task) -> Any:
    """The suite's policy for a task that has one.

    Its `get_action(obs)` gives an action (action_dim,) for an observation (obs_dim,).
    """
    return importlib.import_module(f"cdred.suites.{task.suite}.scripted").policy(task)
