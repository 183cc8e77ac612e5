"""A figure of one panel as SVG: real text, the page's colours, the same bytes for the same data."""

from __future__ import annotations

import io
import json
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
DASHES = ("-", "--", ":", "-.")
SIZE = (4.7, 3.3)  # inches; as many pixels wide as a phone, so that text is legible there
SMALL = (3.1, 2.3)  # of each of several panels
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
_NUMBERED = re.compile(r"(line|band|key)-\d+|points")


@dataclass(frozen=True)
class Panel:
    """A figure of one panel. `name` is its file's; `label` describes it for readers who do not see
    it."""

    name: str
    label: str
    svg: str
    note: str = ""  # said beneath it

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


Plot = Callable[[Any], str | None]  # draws on axes; what it returns is said beneath


def draw(name: str, title: str, label: str, plot: Plot, height: float = SIZE[1]) -> Panel:
    """Draw a panel by `plot` on its axes; the legend stands below them, never over data."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not the user's own style
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": name})  # ids differ between figures
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title)
        note = plot(axes) or ""
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            columns = 1 if max(map(len, labels)) > 24 else 2
            more = max(0, math.ceil(len(labels) / columns) - LEGEND[0])
            figure.set_figheight(height + LEGEND[1] * more)
            legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns)
            _number(axes, legend)
        text = _saved(figure)
        scales = _scales(figure, axes)
    return Panel(name, label, _tidy(text, name, label, scales), note)


def draw_grid(name: str, label: str, plots: dict[str, Plot]) -> Panel:
    """Draw small panels by their titles, all on the same scales, each with its legend inside."""
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(3, len(plots))
    rows = math.ceil(len(plots) / columns)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": name})
        figure = Figure(figsize=(SMALL[0] * columns, SMALL[1] * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
        for k, (title, plot) in enumerate(plots.items()):
            axes = grid[k]
            axes.set_title(title)
            plot(axes)
            axes.legend(loc="lower right", fontsize=8, handlelength=1.4)
            if k % columns:
                axes.set_ylabel("")
            if k + columns < len(plots):
                axes.set_xlabel("")
            else:  # the lowest of its column
                axes.tick_params(labelbottom=True)
        for axes in grid[len(plots) :]:
            axes.set_axis_off()
        text = _saved(figure)
    return Panel(name, label, _tidy(text, name, label))


def _saved(figure: Any) -> str:
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return text.getvalue()


def _number(axes: Any, legend: Any) -> None:
    """Number what belongs to an entry of the legend, and the entry, for the script of the page."""
    from matplotlib.lines import Line2D

    number = {}
    for k, (key, text) in enumerate(zip(legend.legend_handles, legend.get_texts(), strict=True)):
        key.set_gid(f"key-{k}")
        text.set_gid(f"key-{k}")
        number[text.get_text()] = k
    current = None
    for artist in axes.get_children():  # a band comes after its line
        if isinstance(artist, Line2D):
            current = number.get(str(artist.get_label()))
        if current is not None and artist in (*axes.lines, *axes.collections):
            artist.set_gid(f"{'line' if isinstance(artist, Line2D) else 'band'}-{current}")


def _scales(figure: Any, axes: Any) -> dict[str, Any]:
    """The axes' place in the drawing and what they span, for the script of the page."""
    from matplotlib.ticker import FixedLocator

    width, height = 72 * figure.get_size_inches()
    box = axes.get_position()
    scales = {
        "box": [
            round(width * box.x0, 2), round(height * (1 - box.y1), 2),
            round(width * box.x1, 2), round(height * (1 - box.y0), 2),
        ],
        "x": [float(f"{x:.6g}") for x in axes.get_xlim()],
        "y": [float(f"{y:.6g}") for y in axes.get_ylim()],
        "log": [axes.get_xscale() == "log", axes.get_yscale() == "log"],
        "label": axes.get_xlabel(),
    }  # fmt: skip
    if isinstance(axes.yaxis.get_major_locator(), FixedLocator):
        del scales["y"]  # names, no numbers
    return scales


NOTHING = "nothing was recorded"  # in the label of a figure that is not one


def nothing(name: str) -> Panel:
    """A panel in place of one that has no data."""

    def plot(axes: Any) -> None:
        axes.text(0.5, 0.5, "nothing recorded to draw", ha="center", va="center")
        axes.set_axis_off()

    return draw(name, name, f"{name}: {NOTHING}.", plot)


def is_nothing(svg: str) -> bool:
    """Tell whether a file's figure stands in place of one that has no data."""
    return NOTHING in svg


def _tidy(text: str, name: str, label: str, scales: dict[str, Any] | None = None) -> str:
    """Reduce an SVG to one line that can stand alone or in a page: no ids but those referred to, no
    global styles, the reader's own font, and INK as the colour of the text around. Ids are the
    figure's `name` and a number: Matplotlib's depend on how numpy prints numbers."""
    root = ElementTree.fromstring(text)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    for element in root.iter():
        if (own := element.get("id", "")) not in used:
            element.attrib.pop("id", None)
            if _NUMBERED.fullmatch(own):
                element.set("class", own)
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
    if scales:
        root.set("data-axes", json.dumps(scales))
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("font-family", "system-ui, sans-serif")
    root.set("style", "stroke-linejoin: round")
    tidy = ElementTree.tostring(root, encoding="unicode")
    ids = {own: f"{name}-{k}" for k, own in enumerate(re.findall(r'(?<= id=")[^"]+', tidy))}
    places = r'(?<= id=")[^"]+|(?<=href="#)[^"]+|(?<=url\(#)[^)]+'
    return re.sub(places, lambda place: ids.get(place[0], place[0]), tidy)
