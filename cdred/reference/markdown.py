"""Pieces of Markdown that the pages share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make docs`: do not edit. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def text(*parts: str) -> str:
    """A page of paragraphs."""
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").split())
