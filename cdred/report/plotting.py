"""Drawing on the axes of a panel: lines over steps with their bands, and scales."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdred.report.rows import Row

EARLY = 0.1  # of a line: what may be a spike


def line(
    axes: Any, rows: list[Row], name: str, key: str = "update", spread: str = "",
    band: bool = True, **style: Any,
) -> None:  # fmt: skip
    """Plot the mean over seeds at each `key`, over steps. The band is the range over seeds, or the
    mean less and plus `spread`, a standard deviation; without `band` there is none."""
    points: dict[int, list[Row]] = {}
    for row in rows:
        points.setdefault(int(row[key]), []).append(row)
    if not points:
        return
    at = [points[k] for k in sorted(points)]
    steps = [int(group[0]["step"]) for group in at]
    values = [[float(row[name]) for row in group] for group in at]
    mean = [statistics.fmean(v) for v in values]
    low, high = [min(v) for v in values], [max(v) for v in values]
    if spread:
        widths = [statistics.fmean(float(row[spread]) for row in group) for group in at]
        low = [m - w for m, w in zip(mean, widths, strict=True)]
        high = [m + w for m, w in zip(mean, widths, strict=True)]
    axes.plot(steps, mean, marker="o" if len(steps) == 1 else "", **style)
    if band and low != high:
        axes.fill_between(steps, low, high, color=style["color"], alpha=0.18, lw=0)


def collected(rows: list[Row], names: list[str]) -> list[float]:
    return [row[name] for row in rows for name in names]


def logarithmic(axes: Any, values: list[float]) -> None:
    """Set a logarithmic scale that spans `values`, unless they are too close together for one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    positive = [value for value in values if value > 0]
    if not positive or max(positive) < 4 * min(positive):
        return
    low, high = min(positive) / 1.3, max(positive) * 1.3
    axes.set(yscale="log", ylim=(low, high))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def without_spikes(axes: Any) -> str:
    """Limit the scale to what is drawn after the first tenth of each line's steps, where what is
    before would take a third of it or more. Returns what to say beneath."""
    points: list[float] = []
    later: list[float] = []
    for shape in (
        *(line.get_xydata() for line in axes.lines),
        *(path.vertices for band in axes.collections for path in band.get_paths()),
    ):
        first, last = float(shape[:, 0].min()), float(shape[:, 0].max())
        for x, y in shape:
            if math.isfinite(y) and (y > 0 or axes.get_yscale() != "log"):
                points.append(float(y))
                if x > first + EARLY * (last - first):
                    later.append(float(y))
    if not later:
        return ""
    scale = math.log10 if axes.get_yscale() == "log" else float
    low, high = scale(min(later)), scale(max(later))
    values = [scale(y) for y in points]
    room = 0.05 * (high - low)
    if not 0 < 1.5 * (high - low) < max(values) - min(values):
        return ""
    limits = (max(low - room, min(values)), min(high + room, max(values)))
    back = (lambda y: 10**y) if axes.get_yscale() == "log" else float
    axes.set_ylim(*map(back, limits))
    beyond = [
        f"{word} {back(value):.3g}"
        for word, value, cut in (
            ("down to", min(values), min(values) < limits[0]),
            ("up to", max(values), max(values) > limits[1]),
        )
        if cut
    ]
    return f"Not drawn: {' and '.join(beyond)}, at the start."


def over_steps(axes: Any, text: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set(xlabel=text, xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
