"""The reference pages of the documentation, from what the code says of itself: the configuration
from its models (config/schema.json too), the command line from its parsers, Python from its
docstrings.

`python -m cdred.reference`, a part of `make docs`, writes them; a test compares.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cdred.config import json_schema
from cdred.reference import commands, configuration, python

FOLDER = Path("docs/reference")
# What writes each file, by its place in the checkout.
FILES: dict[Path, Callable[[], str]] = {
    Path("config/schema.json"): json_schema.text,
    FOLDER / "configuration.md": configuration.page,
    FOLDER / "cli.md": commands.page,
    FOLDER / "python.md": python.page,
}
