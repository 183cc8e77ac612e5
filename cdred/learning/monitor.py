"""What a long computation tells about itself and may go on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Monitor:
    """Watches a run and keeps its state; this one is silent and forgets.

    Nothing that a monitor does changes what is computed.
    """

    def progress(self, done: int, shown: dict[str, float]) -> None:
        """`done` steps are done; `shown` is what a person wants to see beside them."""

    def row(self, table: str, row: dict[str, float]) -> None:
        """A row of `metrics` or `curve` is complete."""

    def saved(self) -> dict[str, Any] | None:
        """The state to go on from, or None to start."""
        return None

    def checkpoint(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        """A moment at which `state()` is all that is needed to go on: tensors, plain values."""
