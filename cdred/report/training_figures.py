"""The figures of training: rewards, Q and consistency of the latent dynamics, gradient norms,
losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdred import methods
from cdred.envs.tasks import file_name
from cdred.learning.display import Figure, display_of
from cdred.report import catalogue
from cdred.report.colours import colours
from cdred.report.plotting import collected, line, logarithmic, over_steps, without_spikes
from cdred.report.svg import DASHES, INK, Panel, Plot, draw

if TYPE_CHECKING:
    from cdred.report.rows import Data, Row


def has_rewards(data: Data, run: Row) -> bool:
    """Tell whether a run recorded the rewards that it learns."""
    return any("reward_expert" in row for row in _metrics(data, run))


def diagnostics(data: Data, run: Row) -> list[Panel]:
    """Reward, Q, the method's own figures and latent consistency of an imitating run."""
    rows, colour = _metrics(data, run), colours(data)[run["run"]]
    streams = {"expert": ("expert data", INK), "behaviour": ("agent data", colour)}
    horizon = sorted(
        (name for name in rows[0] if name.removeprefix("consistency_").isdecimal()),
        key=lambda name: int(name.rsplit("_", 1)[1]),
    )

    def on_streams(quantity: str) -> Plot:
        def plot(axes: Any) -> str:
            for stream, (text, ink) in streams.items():
                name = f"{quantity}_{stream}"
                line(axes, rows, name, spread=f"{name}_std", color=ink, label=text)
            over_steps(axes, "agent steps")
            return without_spikes(axes)

        return plot

    def method_figure(figure: Figure) -> Plot:
        def plot(axes: Any) -> str:
            for one in figure.lines:
                ink, dash = INK if one.expert else colour, "--" if one.dashed else "-"
                line(axes, rows, one.column, color=ink, ls=dash, label=one.label)
            if figure.logarithmic:
                logarithmic(axes, collected(rows, [one.column for one in figure.lines]))
            over_steps(axes, "agent steps")
            return without_spikes(axes)

        return plot

    def consistency(axes: Any) -> str:
        for k, name in enumerate(horizon):
            label = f"{k + 1} step{'s' if k else ''} ahead"
            line(axes, rows, name, color=colour, ls=DASHES[k % len(DASHES)], label=label)
        logarithmic(axes, collected(rows, horizon))
        over_steps(axes, "agent steps")
        return without_spikes(axes)

    where = f"of {run['run']} on {run['task']} over agent steps"
    own = display_of(methods.find(run["method"])).figures
    drawn = [
        ("reward", catalogue.DIAGNOSTICS["reward"], _both("reward"), on_streams("reward")),
        ("q", catalogue.DIAGNOSTICS["q"], _both("q"), on_streams("q")),
        *((f.name, f.title, [one.column for one in f.lines], method_figure(f)) for f in own),
        ("consistency", catalogue.DIAGNOSTICS["consistency"], horizon, consistency),
    ]
    return [
        _panel(kind, title, where, rows, names, plot, run)
        for kind, title, names, plot in drawn
        if all(name in rows[-1] for name in names)  # what was not recorded is left out
    ]


def _both(quantity: str) -> list[str]:
    return [f"{quantity}_expert", f"{quantity}_behaviour"]


def gradients(data: Data, task: str) -> list[Panel]:
    """A panel per run, all on one scale."""
    trained = [(run, _metrics(data, run)) for run in data.runs if run["task"] == task]
    trained = [(run, rows) for run, rows in trained if rows]
    names = ["grad_norm", "grad_norm_max"]
    values = [value for _, rows in trained for value in collected(rows, names)]
    colour = colours(data)

    def of(run: Row, rows: list[Row]) -> Panel:
        def plot(axes: Any) -> None:
            ink = colour.get(run["run"], INK)
            line(axes, rows, "grad_norm_max", color=ink, ls="--", label="largest of an interval")
            line(axes, rows, "grad_norm", color=ink, label="mean of an interval")
            logarithmic(axes, values)
            over_steps(axes, _steps(run))

        where = f"of {run['run']} on {task} over {_steps(run)}"
        title = f"Gradient norm of {run['run']}"
        return _panel("gradients", "Gradient norm", where, rows, names, plot, run, title)

    return [of(run, rows) for run, rows in trained]


def losses(data: Data, task: str) -> list[Panel]:
    """A panel per term with every run that has it."""
    colour = colours(data)

    def of(name: str, title: str) -> Panel | None:
        recorded = [
            (run, rows)
            for run in data.runs
            if run["task"] == task and (rows := [r for r in _metrics(data, run) if name in r])
        ]
        if not recorded:
            return None

        def plot(axes: Any) -> str:
            for run, rows in recorded:
                ink = colour.get(run["run"], INK)
                line(axes, rows, name, color=ink, label=run["run"])
            if name != "policy_loss":  # which may be negative
                logarithmic(axes, [v for _, rows in recorded for v in collected(rows, [name])])
            over_steps(axes, _steps(recorded[0][0]))
            return without_spikes(axes)

        levels = ", ".join(f"{run['run']} {rows[-1][name]:.3g}" for run, rows in recorded)
        label = f"{title} on {task} over {_steps(recorded[0][0])}. Last values: {levels}."
        return draw(f"loss--{file_name(task)}--{name}", title, label, plot)

    terms = catalogue.losses(run["method"] for run in data.runs if run["task"] == task)
    return [panel for name, title in terms.items() if (panel := of(name, title))]


def gradients_of(task: str, run: str) -> str:
    """The name of the panel of a run's gradient norms."""
    return _name("gradients", task, run)


def _metrics(data: Data, run: Row) -> list[Row]:
    identity = (run["task"], run["run"])
    return [row for row in data.diagnostics if (row["task"], row["run"]) == identity]


def _name(kind: str, task: str, run: str) -> str:
    return f"{kind}--{file_name(task)}--{run}"


def _steps(run: Row) -> str:
    return "agent steps" if methods.find(run["method"]).interacts else "updates"


def _panel(
    kind: str, what: str, where: str, rows: list[Row], names: list[str],
    plot: Plot, run: Row, title: str = "",
) -> Panel:  # fmt: skip
    last = ", ".join(f"{name} {rows[-1][name]:.3g}" for name in names)
    label = f"{what} {where}. Last values: {last}."
    return draw(_name(kind, run["task"], run["run"]), title or what, label, plot)
