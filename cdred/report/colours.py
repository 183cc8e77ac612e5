"""The colour of each run: the same in all figures and for every task. The expert and its data
have the colour of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdred.report.rows import is_expert
from cdred.report.svg import COLOURS

if TYPE_CHECKING:
    from cdred.report.rows import Data


def colours(data: Data) -> dict[str, str]:
    """Each run's colour, by its name."""
    names = dict.fromkeys(row["run"] for row in data.summary if not is_expert(row))
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)}
