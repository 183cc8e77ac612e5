"""Figures of the report, as SVG with text, the same bytes for the same data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdred.report.tables import Data

# Okabe and Ito's colours, told apart by most colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def learning_curves(data: Data, path: Path) -> None:
    """Return over agent steps, a panel per task: each run's mean over seeds with its range; the
    expert's, the demonstrations' and behaviour cloning's final returns as levels."""
    import matplotlib
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row["task"] for row in data.summary))
    runs = list(dict.fromkeys(r["run"] for r in data.summary if r["method"] != "expert"))
    colour = {run: COLOURS[k % len(COLOURS)] for k, run in enumerate(runs)}
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "cdred", "font.family": "sans-serif"}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7, 3.6 * len(tasks)), layout="constrained")
        for axes, task in zip(figure.subplots(len(tasks), squeeze=False)[:, 0], tasks, strict=True):
            for row in data.summary:
                if row["task"] == task and row["method"] == "expert":
                    axes.axhline(row["return_mean"], color="#555555", ls="--", label=row["run"])
            for row in data.demos:
                if row["task"] == task:
                    level = row["return_mean"]
                    axes.axhline(level, color="#999999", ls=":", label=f"{row['demos']} (demos)")
            for run in runs:
                _curve(axes, data, task, run, colour[run])
            axes.set(
                title=task, xlabel="agent steps", ylabel="return", xlim=(0, None), ylim=(0, None)
            )
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        figure.savefig(path, metadata={"Date": None})


def _curve(axes, data: Data, task: str, run: str, colour: str) -> None:  # type: ignore[no-untyped-def]
    final = [r for r in data.summary if (r["task"], r["run"]) == (task, run)]
    if not final:
        return
    if final[0]["method"] == "bc":  # its steps are updates: no interaction to plot over
        mean = sum(r["return_mean"] for r in final) / len(final)
        axes.axhline(mean, color=colour, ls="-.", label=f"{run} (final)")
        return
    points: dict[int, list[float]] = {}
    for row in data.curves:
        if (row["task"], row["run"]) == (task, run):
            points.setdefault(int(row["step"]), []).append(float(row["return_mean"]))
    steps = sorted(points)
    axes.plot(steps, [sum(points[s]) / len(points[s]) for s in steps], color=colour, label=run)
    low, high = [min(points[s]) for s in steps], [max(points[s]) for s in steps]
    axes.fill_between(steps, low, high, color=colour, alpha=0.2, lw=0)
