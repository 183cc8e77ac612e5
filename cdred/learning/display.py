"""How methods are presented by the report, the published cards and the tools.

Apart from what methods compute: a label or a figure makes reports stale, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdred.learning.registry import load

if TYPE_CHECKING:
    from cdred.learning.registry import Method


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


@dataclass(frozen=True)
class Display:
    """How the report, the published cards and the tools present a method."""

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


def display_of(method: Method) -> Display:
    """The display of a method; of one that states none, one made of its name."""
    if method.display is None:
        own = method.name.partition(":")[2] or method.name
        return Display(label=own, summary=f"{own}, trained from demonstrations without rewards")
    display = load(method.display)
    assert isinstance(display, Display)
    return display
