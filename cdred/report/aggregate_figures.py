"""The figures over all tasks and seeds: performance profiles, and sample efficiency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdred.report import aggregates
from cdred.report.plotting import over_steps
from cdred.report.rows import GOAL
from cdred.report.svg import INK, Panel, draw

if TYPE_CHECKING:
    from cdred.report.rows import Data, Row


def make(data: Data, colours: dict[str, str]) -> list[Panel]:
    return [_profiles(data, colours), _efficiency(data, colours)]


def _profiles(data: Data, colours: dict[str, str]) -> Panel:
    """The share of each run's seeds and tasks above every level."""
    whose = aggregates.whose(data)

    def plot(axes: Any) -> None:
        for run, colour in colours.items():
            rows = _of(data.profiles, run)
            levels, above = _column(rows, "expert_share"), _column(rows, "above")
            axes.plot(levels, above, color=colour, label=run, drawstyle="steps-post")
            _band(axes, levels, rows, colour, step="post")
        axes.axvline(1, color=INK, ls=":", alpha=0.6)
        axes.set(xlabel=f"share of the {whose} score", ylabel="seeds and tasks above it")
        axes.set(ylim=(0, 1.02), xlim=(min(_column(data.profiles, "expert_share")), None))

    reached = ", ".join(f"{run} {_at_goal(_of(data.profiles, run)):.2f}" for run in colours)
    label = f"Performance profiles. Seeds and tasks above {GOAL} of the {whose} score: {reached}."
    return draw("profiles", "Performance profiles", label, plot)


def _efficiency(data: Data, colours: dict[str, str]) -> Panel:
    """The interquartile mean over agent steps; the level of behaviour cloning, which has none."""
    standard = aggregates.compared_with(data)
    final = {row["run"]: row["iqm"] for row in data.aggregates}

    def plot(axes: Any) -> None:
        axes.axhline(1, color=INK, ls="--", label=standard)
        for run, colour in colours.items():
            rows = _of(data.efficiency, run)
            if rows:
                steps = _column(rows, "step")
                one = "o" if len(steps) == 1 else ""
                axes.plot(steps, _column(rows, "iqm"), marker=one, color=colour, label=run)
                _band(axes, steps, rows, colour)
            else:
                text = f"{run} (final) {final[run]:.2f}"
                axes.axhline(final[run], color=colour, ls="-.", label=text)
        lowest = min([0.0, *_column(data.efficiency, "low"), *final.values()])
        axes.set(ylabel=f"IQM, share of the {standard}", ylim=(None if lowest < 0 else 0, None))
        over_steps(axes, "agent steps")

    levels = ", ".join(f"{run} {value:.2f}" for run, value in final.items())
    label = (
        f"Sample efficiency: interquartile mean of the share of the {standard} over agent steps. "
        f"Final evaluation: {levels}."
    )
    return draw("efficiency", "Sample efficiency", label, plot)


def _of(rows: list[Row], run: str) -> list[Row]:
    return [row for row in rows if row["run"] == run]


def _column(rows: list[Row], name: str) -> list[float]:
    return [row[name] for row in rows]


def _band(axes: Any, x: list[float], rows: list[Row], colour: str, **style: Any) -> None:
    low, high = _column(rows, "low"), _column(rows, "high")
    axes.fill_between(x, low, high, color=colour, alpha=0.18, lw=0, **style)


def _at_goal(rows: list[Row]) -> float:
    return float(min(rows, key=lambda row: abs(row["expert_share"] - GOAL))["above"])
