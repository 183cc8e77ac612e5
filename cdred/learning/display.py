"""The presentation of methods by the report, the published cards and the tools.

Apart from what methods compute: a label or a figure makes reports stale, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdred.errors import CdredError
from cdred.learning.registry import load

if TYPE_CHECKING:
    from cdred.learning.registry import Method

# The figures of every run's training, beside which those of its method lie.
OF_EVERY_RUN = frozenset({"reward", "q", "consistency", "gradients", "loss", "demonstrated"})
LONGEST_NAME = 60  # of a figure, beside those of its task and run in one name of a file
_NAME = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")


@dataclass(frozen=True)
class Line:
    """A line of a figure: a column of metrics.csv. `expert`: in the colour of the expert's data."""

    column: str
    label: str
    expert: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure of the report over a run's training, of metrics that only its method has."""

    name: str  # of its file
    title: str
    lines: tuple[Line, ...]
    caption: str = "method_figure"  # in workflow/report/
    logarithmic: bool = True

    def __post_init__(self) -> None:
        _check_name("figure", self.name)
        if self.name.lower() in OF_EVERY_RUN:
            raise CdredError(
                f"a figure called {self.name!r}: every run has one of that name; give it another"
            )


@dataclass(frozen=True)
class Display:
    """The presentation of a method by the report, the published cards and the tools."""

    label: str
    summary: str  # completes "An agent for this task: ..."
    # Losses that metrics.csv holds, with their titles.
    losses: dict[str, str] = field(
        default_factory=lambda: {
            "consistency_loss": "Consistency loss",
            "reward_loss": "Reward loss",
            "value_loss": "Value loss",
            "policy_loss": "Policy loss",
        }
    )
    figures: tuple[Figure, ...] = ()

    def __post_init__(self) -> None:
        for name in self.losses:
            _check_name("loss", name)
        _check_once("figures", (figure.name for figure in self.figures))
        _check_once("losses", self.losses)


def _check_name(of: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CdredError(
            f"a {of} called {name[:LONGEST_NAME]!r}: not a valid name: letters, digits and _, "
            f"joined by single -, as it names files"
        )
    if len(name) > LONGEST_NAME:
        raise CdredError(f"a {of} called {name!r}: longer than {LONGEST_NAME} letters")


def _check_once(of: str, names: Iterable[str]) -> None:
    """Raise CdredError for two names of one file, on systems too that know no capitals."""
    seen = set()
    for name in names:
        if name.lower() in seen:
            raise CdredError(f"two {of} called {name!r}: each needs a name of its own")
        seen.add(name.lower())


def display_of(method: Method) -> Display:
    """The display of a method; of one that states none, one made of its name.

    Raises CdredError when somebody's own cannot be imported, or is none.
    """
    if method.display is None:
        own = method.name.partition(":")[2] or method.name
        return Display(label=own, summary=f"{own}, trained from demonstrations without rewards")
    display = load(method.display)
    if not isinstance(display, Display):
        raise CdredError(
            f"{method.name}: its display is of {type(display).__name__}, not a "
            f"cdred.learning.display.Display"
        )
    return display
