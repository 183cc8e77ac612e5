"""Text of anybody's in pages: as it reads, never as Markdown or HTML."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

# What begins a construct of Markdown or HTML; an underscore does so at the edge of a word alone.
_MARKUP = re.compile(r"[&<>\"`*\[\]|\\~]|(?<!\w)_|_(?!\w)")


def plain(value: Any) -> Markup:
    """A value as text in one line that neither Markdown nor HTML takes for markup; what is `Markup`
    already stays as it is."""
    if isinstance(value, Markup):
        return value
    text = re.sub(r"\s+", " ", str(value))
    return Markup(_MARKUP.sub(lambda match: f"&#{ord(match[0])};", text))


def code(text: str) -> Markup:
    """Text in a span of code, in which nothing is markup but its end and that of a table's cell."""
    return Markup("`{}`".format(re.sub(r"[`|\s]+", " ", text)))
