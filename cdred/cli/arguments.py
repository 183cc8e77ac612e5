"""Arguments that several groups of commands share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_tolerance(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--tolerance", type=float, default=0.05, metavar="SHARE",
        help="on another kind of machine: allowed difference of an episode's return, as a share of "
        "the largest recorded (default: %(default)s)",
    )  # fmt: skip


def repository(text: str) -> tuple[str, str | None]:
    """The name and the revision of ID[@REVISION]."""
    name, _, revision = text.partition("@")
    return name, revision or None
