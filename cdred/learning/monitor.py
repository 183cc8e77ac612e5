"""The interface by which a long computation reports its progress and keeps its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Monitor:
    """Receives progress and keeps the state of a run; this one is silent and keeps nothing.

    Nothing that a monitor does changes what is computed.
    """

    def progress(self, done: int, highlights: dict[str, float]) -> None:
        """Report that `done` steps are done, with the few values to display beside them."""

    def notice(self, text: str) -> None:
        """Tell the user what may surprise, once, in a line."""

    def row(self, table: str, row: dict[str, float]) -> None:
        """Receive a complete row of `metrics` or `curve`."""

    def saved(self) -> dict[str, Any] | None:
        """The state to resume from, or None to start."""
        return None

    def save_state(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        """Save `state()`, if it is time to: tensors and plain values, all that resuming takes."""
