"""A figure of one panel as SVG: real text, the page's colours, the same bytes for the same data."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

# Drawn in this colour is what takes the text's colour of the page that it stands in.
INK = "#010203"
# Okabe and Ito's colours, told apart by most colour-blind readers; no black, which would vanish on
# a dark page, and no yellow, which would on a light one.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SIZE = (4.7, 3.3)  # inches; as many pixels wide as a phone, so that text is legible there
LEGEND = (4, 0.21)  # rows for which there is room in that; inches of each more
STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign is one
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same layout on every machine
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.6,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color",
         "ytick.color", "grid.color"), INK,
    ),
}  # fmt: skip
# As a file of its own a figure has a white ground. In a page this matches nothing: there the root
# is the page, whose colours the figure takes.
ALONE = "svg:root{background:#fff;color:#222}"

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", _SVG)


@dataclass(frozen=True)
class Panel:
    """A figure of one panel. `name` is its file's; `label` describes it for readers who do not see
    it."""

    name: str
    label: str
    svg: str

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


def draw(
    name: str, title: str, label: str, plot: Callable[[Any], None], height: float = SIZE[1]
) -> Panel:
    """Draw a panel by `plot` on its axes; the legend stands below them, never over data."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not the user's own style
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": name})  # ids differ between figures
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title)
        plot(axes)
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            columns = 1 if max(map(len, labels)) > 24 else 2
            more = max(0, math.ceil(len(labels) / columns) - LEGEND[0])
            figure.set_figheight(height + LEGEND[1] * more)
            figure.legend(handles, labels, loc="outside lower left", ncols=columns)
        text = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return Panel(name, label, _tidy(text.getvalue(), label))


def nothing(name: str) -> Panel:
    """A panel in place of one that has no data."""

    def plot(axes: Any) -> None:
        axes.text(0.5, 0.5, "nothing recorded to draw", ha="center", va="center")
        axes.set_axis_off()

    return draw(name, name, f"{name}: nothing was recorded.", plot)


def _tidy(text: str, label: str) -> str:
    """Reduce an SVG to one line that can stand alone or in a page: no ids but those referred to, no
    global styles, the reader's own font, and INK as the colour of the text around."""
    root = ElementTree.fromstring(text)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if (target := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            element.set("href", target)
        for key, value in element.items():
            value = value.replace(INK, "currentColor")
            element.set(key, " ".join(re.sub(r"font-family: [^;]*;? ?", "", value).split()))
        if element.tag not in (f"{{{_SVG}}}text", f"{{{_SVG}}}tspan"):
            element.text = None
        element.tail = None
    for parent in root.iter(f"{{{_SVG}}}defs"):
        for style in parent.findall(f"{{{_SVG}}}style"):
            parent.remove(style)
    alone = ElementTree.Element(f"{{{_SVG}}}style")
    alone.text = ALONE
    root.insert(0, alone)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("font-family", "system-ui, sans-serif")
    root.set("style", "stroke-linejoin: round")
    return ElementTree.tostring(root, encoding="unicode")
