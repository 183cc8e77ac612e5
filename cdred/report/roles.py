"""What a row of a table is about: an expert, or an agent of a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdred import methods

if TYPE_CHECKING:
    from cdred.report.tables import Row


def is_expert(row: Row) -> bool:
    """Whether the row's agent is an expert, trained here or not."""
    return bool(row["stage"] == "expert")


def definition(row: Row) -> methods.Method:
    """The method of a row of an imitating agent."""
    return methods.find(row["method"])


def interacts(row: Row) -> bool:
    """Whether the steps of the row's training are agent steps in the environment."""
    return is_expert(row) or definition(row).interacts


def label(method: str) -> str:
    """How a method is called in text; a name that no method has stands for itself."""
    if method in methods.folders() or ":" in method:
        return methods.find(method).presentation().label
    return method
