"""The description of an experiment that its report is written from: plain data, made from the plan.

Standard library alone: the engines ask which files a report will have.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Of ways of acting; the others are words already.
WORDS = {"plan": "MPPI", "scripted": "script", "checkpoint": "as saved", "hub": "as saved"}


@dataclass(frozen=True)
class Entry:
    """An expert or a run, and how its agents are made. A run names its `demos`, an expert none."""

    name: str
    method: str
    way: str  # of acting when it is evaluated (`plan`, `mean`, `sample`), or its source
    steps: int
    obs: str  # what it sees
    demos: str = ""
    demo_episodes: int = 0
    alike: str = ""  # the first run that differs in its demonstrations alone; it may be the same
    trained: bool = True  # here; not taken from elsewhere
    keeps_best: bool = False  # of the points of its learning curve, instead of the last

    @property
    def acts_by(self) -> str:
        """The way of acting, in words."""
        return WORDS.get(self.way, self.way)

    @property
    def imitates(self) -> bool:
        return bool(self.demos)


@dataclass(frozen=True, eq=False)
class Artifact:
    """A finished artifact that the report covers. `path` is its name in the checkout, `folder`
    where it can be read."""

    stage: str
    task: str
    entry: str
    seed: int
    path: str
    folder: Path
    digest: str
    command: str
    inputs: tuple[Artifact, ...] = ()

    def ancestor(self, stage: str) -> str:
        """The entry of the artifact of `stage` that it was made from; empty if there is none."""
        artifact = self
        while artifact.stage != stage and artifact.inputs:
            artifact = artifact.inputs[0]
        return artifact.entry if artifact.stage == stage else ""


@dataclass(frozen=True)
class Experiment:
    """`entries` are the experts in use, then the runs in order, by name. `path` is the report's own
    name in the checkout, `logs` that of its logs."""

    name: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    entries: dict[str, Entry]
    artifacts: tuple[Artifact, ...]
    path: str
    logs: str
    facts: tuple[tuple[str, str], ...] = ()  # where and when it was made, by name

    def varied(self) -> set[str]:
        """The names under `alike` of runs that learn from different numbers of demonstrations."""
        numbers: dict[str, set[int]] = {}
        for entry in self.entries.values():
            if entry.imitates:
                numbers.setdefault(entry.alike, set()).add(entry.demo_episodes)
        return {name for name, counts in numbers.items() if len(counts) > 1}
