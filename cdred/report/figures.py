"""The figures of the report. A run has the same colour in all of them; the expert and its data
have the colour of the text."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdred.envs.tasks import TASKS
from cdred.report.svg import COLOURS, INK, Panel, draw

if TYPE_CHECKING:
    from cdred.report.tables import Data, Row

LOSSES = {
    "consistency_loss": "Consistency loss",
    "reward_loss": "Reward loss",
    "value_loss": "Value loss",
    "policy_loss": "Policy loss",
    "bc_loss": "Cloning loss",
}
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Figures:
    """Panels by task, or by task and run; what an experiment does not have is left out."""

    curves: dict[str, Panel]
    diagnostics: dict[tuple[str, str], list[Panel]]
    gradients: dict[str, list[Panel]]
    losses: dict[str, list[Panel]]

    @property
    def panels(self) -> list[Panel]:
        groups = (self.diagnostics, self.gradients, self.losses)
        return [
            *self.curves.values(),
            *(p for group in groups for ps in group.values() for p in ps),
        ]


def colours(data: Data) -> dict[str, str]:
    """Each run's colour, the same for every task."""
    names = dict.fromkeys(row["run"] for row in data.summary if row["method"] != "expert")
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)}


def make(data: Data) -> Figures:
    return Figures(
        {task: _learning_curves(data, task) for task in data.tasks},
        {
            (run["task"], run["run"]): _diagnostics(data, run)
            for run in data.runs
            if any("reward_expert" in row for row in _metrics(data, run))
        },
        {task: _gradients(data, task) for task in data.tasks},
        {task: _losses(data, task) for task in data.tasks},
    )


# ---- the panels ---------------------------------------------------------------------------------


def _learning_curves(data: Data, task: str) -> Panel:
    """Each run's mean over seeds with its range; the levels of the expert, the demonstrations and
    behaviour cloning, which does not interact."""
    runs = [run for run in data.runs if run["task"] == task]
    colour = colours(data)
    successes = TASKS[task].measure == "success"
    name, column = ("success", "success") if successes else ("return", "return_mean")
    form = ".2f" if successes else ".0f"

    def plot(axes: Any) -> None:
        lowest = 0.0
        for run in runs:
            mean = run[column]
            lowest = min(lowest, 0.0 if successes else run["return_min"])
            if run["method"] == "expert":
                axes.axhline(mean, color=INK, ls="--", label=f"{run['run']} {mean:{form}}")
            elif run["method"] == "bc":  # its steps are updates: no interaction to plot over
                text = f"{run['run']} (final) {mean:{form}}"
                axes.axhline(mean, color=colour[run["run"]], ls="-.", label=text)
            else:
                rows = [r for r in data.curves if (r["task"], r["run"]) == (task, run["run"])]
                lowest = min([lowest, *(float(r[column]) for r in rows)])
                _line(axes, rows, column, "step", color=colour[run["run"]], label=run["run"])
        for row in data.demos:
            if row["task"] == task:
                text = f"{row['demos']} (demos) {row[column]:{form}}"
                axes.axhline(row[column], color=INK, alpha=0.6, ls=":", label=text)
        axes.set(ylabel=name, ylim=(None if lowest < 0 else 0, None))
        _over_steps(axes, "agent steps")

    levels = ", ".join(f"{run['run']} {run[column]:{form}}" for run in runs)
    label = f"Learning curves on {task}: {name} over agent steps. At the end: {levels}."
    return draw(f"learning_curves--{task}", task, label, plot)


def _diagnostics(data: Data, run: Row) -> list[Panel]:
    """Reward, Q, the predictors' errors and latent consistency of an imitating run."""
    rows, colour = _metrics(data, run), colours(data)[run["run"]]
    streams = {"expert": ("expert data", INK), "behaviour": ("agent data", colour)}
    horizon = sorted(
        (name for name in rows[0] if name.removeprefix("consistency_").isdecimal()),
        key=lambda name: int(name.rsplit("_", 1)[1]),
    )

    def on_streams(quantity: str) -> Callable[[Any], None]:
        def plot(axes: Any) -> None:
            for stream, (text, ink) in streams.items():
                name = f"{quantity}_{stream}"
                _line(axes, rows, name, spread=f"{name}_std", color=ink, label=text)
            _over_steps(axes, "agent steps")

        return plot

    def errors(axes: Any) -> None:
        for predictor, (_, ink) in streams.items():
            whose = "expert's" if predictor == "expert" else "agent's"
            for stream, (text, _) in streams.items():
                dash = "-" if stream == predictor else "--"
                name, label = f"{predictor}_error_on_{stream}", f"{whose} on {text}"
                _line(axes, rows, name, color=ink, ls=dash, label=label)
        _logarithmic(axes, _values(rows, pairs))
        _over_steps(axes, "agent steps")

    def consistency(axes: Any) -> None:
        for k, name in enumerate(horizon):
            label = f"{k + 1} step{'s' if k else ''} ahead"
            _line(axes, rows, name, color=colour, ls=DASHES[k % len(DASHES)], label=label)
        _logarithmic(axes, _values(rows, horizon))
        _over_steps(axes, "agent steps")

    where = f"of {run['run']} on {run['task']} over agent steps"
    pairs = [f"{p}_error_on_{s}" for p in streams for s in streams]
    return [
        _panel("reward", "Reward", where, rows, ["reward_expert", "reward_behaviour"],
               on_streams("reward"), run),
        _panel("q", "Q", where, rows, ["q_expert", "q_behaviour"], on_streams("q"), run),
        _panel("errors", "Errors of the two predictors", where, rows, pairs, errors, run),
        _panel("consistency", "Latent consistency", where, rows, horizon, consistency, run),
    ]  # fmt: skip


def _gradients(data: Data, task: str) -> list[Panel]:
    """A panel per run, all on one scale."""
    found = [(run, _metrics(data, run)) for run in data.runs if run["task"] == task]
    found = [(run, rows) for run, rows in found if rows]
    names = ["grad_norm", "grad_norm_max"]
    values = [value for _, rows in found for value in _values(rows, names)]
    colour = colours(data)

    def of(run: Row, rows: list[Row]) -> Panel:
        def plot(axes: Any) -> None:
            ink = colour.get(run["run"], INK)
            _line(axes, rows, "grad_norm_max", color=ink, ls="--", label="largest of an interval")
            _line(axes, rows, "grad_norm", color=ink, label="mean of an interval")
            _logarithmic(axes, values)
            _over_steps(axes, _steps(run))

        where = f"of {run['run']} on {task} over {_steps(run)}"
        title = f"Gradient norm of {run['run']}"
        return _panel("gradients", "Gradient norm", where, rows, names, plot, run, title)

    return [of(run, rows) for run, rows in found]


def _losses(data: Data, task: str) -> list[Panel]:
    """A panel per term with every run that has it."""
    colour = colours(data)

    def of(name: str, title: str) -> Panel | None:
        found = [
            (run, rows)
            for run in data.runs
            if run["task"] == task and (rows := [r for r in _metrics(data, run) if name in r])
        ]
        if not found:
            return None

        def plot(axes: Any) -> None:
            for run, rows in found:
                ink = colour.get(run["run"], INK)
                _line(axes, rows, name, color=ink, label=run["run"])
            if name != "policy_loss":  # which may be negative
                _logarithmic(axes, [v for _, rows in found for v in _values(rows, [name])])
            _over_steps(axes, _steps(found[0][0]))

        levels = ", ".join(f"{run['run']} {rows[-1][name]:.3g}" for run, rows in found)
        label = f"{title} on {task} over {_steps(found[0][0])}. Last values: {levels}."
        return draw(f"loss--{task}--{name}", title, label, plot)

    return [panel for name, title in LOSSES.items() if (panel := of(name, title))]


# ---- what they share ----------------------------------------------------------------------------


def _metrics(data: Data, run: Row) -> list[Row]:
    identity = (run["task"], run["run"])
    return [row for row in data.diagnostics if (row["task"], row["run"]) == identity]


def _steps(run: Row) -> str:
    return "updates" if run["method"] == "bc" else "agent steps"


def _panel(
    kind: str, what: str, where: str, rows: list[Row], names: list[str],
    plot: Callable[[Any], None], run: Row, title: str = "",
) -> Panel:  # fmt: skip
    last = ", ".join(f"{name} {rows[-1][name]:.3g}" for name in names)
    label = f"{what} {where}. Last values: {last}."
    return draw(f"{kind}--{run['task']}--{run['run']}", title or what, label, plot)


def _line(
    axes: Any, rows: list[Row], name: str, key: str = "update", spread: str = "", **style: Any
) -> None:
    """The mean over seeds at each `key`, over steps. The band is the range over seeds, or the mean
    less and plus `spread`, a standard deviation."""
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


def _values(rows: list[Row], names: list[str]) -> list[float]:
    return [row[name] for row in rows for name in names]


def _logarithmic(axes: Any, values: list[float]) -> None:
    """A logarithmic scale that spans `values`, unless they are too close together for one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    positive = [value for value in values if value > 0]
    if not positive or max(positive) < 4 * min(positive):
        return
    low, high = min(positive) / 1.3, max(positive) * 1.3
    axes.set(yscale="log", ylim=(low, high))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _over_steps(axes: Any, text: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set(xlabel=text, xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
