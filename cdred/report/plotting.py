"""Drawing on the axes of a panel: lines over steps with their bands, and scales."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdred.report.rows import Row


def line(
    axes: Any, rows: list[Row], name: str, key: str = "update", spread: str = "", **style: Any
) -> None:
    """Plot the mean over seeds at each `key`, over steps. The band is the range over seeds, or the
    mean less and plus `spread`, a standard deviation."""
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
    if low != high:
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


def over_steps(axes: Any, text: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set(xlabel=text, xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
