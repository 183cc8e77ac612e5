"""The figures of the report. A run has the same colour in all of them; the expert and its data
have the colour of the text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from cdred import methods
from cdred.envs.tasks import file_name, find
from cdred.learning.display import Figure, display_of
from cdred.report import aggregate_figures
from cdred.report.catalogue import DIAGNOSTICS, losses
from cdred.report.plotting import collected, line, logarithmic, over_steps, without_spikes
from cdred.report.rows import is_expert, known_score, score
from cdred.report.svg import COLOURS, INK, SIZE, Panel, Plot, draw, draw_grid

if TYPE_CHECKING:
    from cdred.report.rows import Data, Row

ROW = 0.45  # inches of a run's episodes
POINTS = 60  # of an episode's line
MANY = 4  # runs: more than these are not told apart in one panel
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Figures:
    """Panels by task, or by task and run; an experiment may lack some of them."""

    overall: list[Panel]  # over all tasks and seeds
    curves: dict[str, Panel]
    demonstrations: dict[str, Panel]
    demonstrated: dict[tuple[str, str], Panel]  # by task and demonstrations
    episodes: dict[str, Panel]
    diagnostics: dict[tuple[str, str], list[Panel]]
    gradients: dict[str, list[Panel]]
    losses: dict[str, list[Panel]]

    @property
    def panels(self) -> list[Panel]:
        groups = (self.diagnostics, self.gradients, self.losses)
        return [
            *self.overall,
            *self.curves.values(),
            *self.demonstrations.values(),
            *self.demonstrated.values(),
            *self.episodes.values(),
            *(p for group in groups for ps in group.values() for p in ps),
        ]

    def overview(self) -> Figures:
        """The panels for comparing tasks."""
        return Figures(self.overall, self.curves, self.demonstrations, {}, {}, {}, {}, {})

    def only(self, task: str) -> Figures:
        """The panels of one task."""
        return Figures(
            [], {task: self.curves[task]},
            {key: panel for key, panel in self.demonstrations.items() if key == task},
            {key: panel for key, panel in self.demonstrated.items() if key[0] == task},
            {task: self.episodes[task]},
            {key: panels for key, panels in self.diagnostics.items() if key[0] == task},
            {task: self.gradients[task]}, {task: self.losses[task]},
        )  # fmt: skip


def colours(data: Data) -> dict[str, str]:
    """Each run's colour, the same for every task."""
    names = dict.fromkeys(row["run"] for row in data.summary if not is_expert(row))
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)}


def make(data: Data) -> Figures:
    return Figures(
        aggregate_figures.make(data, colours(data)) if data.aggregates else [],
        {task: _learning_curves(data, task) for task in data.tasks},
        {task: panel for task in data.tasks if (panel := _by_demonstrations(data, task))},
        {
            (task, name): panel
            for task in data.tasks
            for name, panel in _demonstrated(data, task).items()
        },
        {task: _episodes(data, task) for task in data.tasks},
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
    order = {name: k for k, name in enumerate(colour)}
    successes = find(task).measure == "success"
    name = find(task).measure
    form = ".2f" if successes else ".0f"
    few = sum(methods.find(r["method"]).interacts for r in runs if not is_expert(r)) <= MANY

    def plot(axes: Any) -> str:
        lowest = 0.0
        for run in runs:
            mean = score(run)
            lowest = min(lowest, 0.0 if successes else run["return_min"])
            if is_expert(run):
                axes.axhline(mean, color=INK, ls="--", label=f"{run['run']} {mean:{form}}")
            elif not methods.find(run["method"]).interacts:  # no steps to plot over
                text = f"{run['run']} (final) {mean:{form}}"
                axes.axhline(mean, color=colour[run["run"]], ls="-.", label=text)
            else:
                of_run = (r for r in data.curves if (r["task"], r["run"]) == (task, run["run"]))
                rows = [r | {name: score(r)} for r in of_run]
                lowest = min([lowest, *(r[name] for r in rows)])
                dash = DASHES[order[run["run"]] // len(COLOURS) % len(DASHES)]
                line(
                    axes, rows, name, "step", band=few,
                    color=colour[run["run"]], ls=dash, label=run["run"],
                )  # fmt: skip
        for row in data.demos:
            if row["task"] == task and known_score(row) is not None:
                text = f"{row['demos']} (demos) {score(row):{form}}"
                axes.axhline(score(row), color=INK, alpha=0.6, ls=":", label=text)
        axes.set(ylabel=name, ylim=(None if lowest < 0 else 0, None))
        over_steps(axes, "agent steps")
        return "" if few else "So many runs are drawn without the range over their seeds."

    levels = ", ".join(f"{run['run']} {score(run):{form}}" for run in runs)
    label = f"Learning curves on {task}: {name} over agent steps. At the end: {levels}."
    return draw(f"learning_curves--{file_name(task)}", task, label, plot)


def _by_demonstrations(data: Data, task: str) -> Panel | None:
    """The final score against the number of demonstrations: a line per method, over its runs that
    differ in nothing else, with their intervals."""
    successes = find(task).measure == "success"
    ends = ("success_low", "success_high") if successes else ("interval_low", "interval_high")
    lines: dict[str, dict[int, Row]] = {}
    for run in data.runs:
        if run["task"] == task and run["demo_episodes"]:
            lines.setdefault(run["alike"], {}).setdefault(run["demo_episodes"], run)
    lines = {name: runs for name, runs in lines.items() if len(runs) > 1}
    if not lines:
        return None
    numbers = sorted({number for runs in lines.values() for number in runs})
    labels = {name: _line_label(name, lines) for name in lines}

    def plot(axes: Any) -> None:
        for run in data.runs:
            if run["task"] == task and is_expert(run):
                axes.axhline(score(run), color=INK, ls="--", label=run["run"])
        for k, (name, runs) in enumerate(lines.items()):
            ink, at = COLOURS[k % len(COLOURS)], sorted(runs)
            low, high = ([runs[n][end] or 0.0 for n in at] for end in ends)
            axes.plot(at, [score(runs[n]) for n in at], marker="o", color=ink, label=labels[name])
            axes.fill_between(at, low, high, color=ink, alpha=0.15, lw=0)
        axes.set(xscale="log", xlabel="demonstrations", ylabel=find(task).measure)
        axes.set_xticks(numbers, [str(n) for n in numbers], minor=False)
        axes.minorticks_off()
        if axes.get_ylim()[0] > 0:
            axes.set_ylim(0, None)

    levels = "; ".join(
        f"{labels[name]} " + ", ".join(f"{n}: {score(runs[n]):.4g}" for n in sorted(runs))
        for name, runs in lines.items()
    )
    label = f"Final {find(task).measure} on {task} by the number of demonstrations. {levels}."
    return draw(f"demonstrations--{file_name(task)}", task, label, plot)


def _demonstrated(data: Data, task: str) -> dict[str, Panel]:
    """By the name of the demonstrations, the return so far of each episode over its steps."""

    def of(rows: list[Row]) -> Plot:
        def plot(axes: Any) -> None:
            for row in rows:
                so_far = [0.0, *accumulate(row["rewards"])]
                at = range(0, len(so_far), max(1, len(so_far) // POINTS))
                axes.plot(
                    at, [so_far[k] for k in at], color=INK, alpha=0.5, lw=1,
                    gid=f"line-{row['episode']}",
                )  # fmt: skip
            axes.set_ylabel("return so far")
            over_steps(axes, "agent steps")

        return plot

    by_name: dict[str, list[Row]] = {}
    for row in data.rewards:
        if row["task"] == task:
            by_name.setdefault(row["demos"], []).append(row)
    return {
        name: draw(
            f"demonstrated--{file_name(task)}--{name}", name,
            f"Return so far of {len(rows)} episodes of {name} on {task}.", of(rows),
        )
        for name, rows in by_name.items()
    }  # fmt: skip


def _line_label(name: str, lines: dict[str, dict[int, Row]]) -> str:
    """The method's label, or where several lines are of a method, the name of the first run."""
    method = {key: next(iter(runs.values()))["method"] for key, runs in lines.items()}
    if list(method.values()).count(method[name]) > 1:
        return name
    return display_of(methods.find(method[name])).label


def learning_curves_by_question(data: Data, task: str) -> Panel:
    """As the learning curves; of many runs small panels, one for each question: the first run, and
    those whose names differ in a number alone (`zeta-0_5`, `zeta-0_9`)."""
    runs = [r for r in data.runs if r["task"] == task and not is_expert(r)]
    questions: dict[str, list[Row]] = {}
    for run in runs[1:]:
        name, _, value = run["run"].rpartition("-")
        numbered = name and value.replace("_", "").isdecimal()
        questions.setdefault(name if numbered else run["run"], []).append(run)
    if len(runs) <= MANY:
        return _learning_curves(data, task)
    measure = find(task).measure

    def of(asked: list[Row]) -> Plot:
        def plot(axes: Any) -> None:
            for run in data.runs:
                if run["task"] == task and is_expert(run):
                    axes.axhline(score(run), color=INK, ls="--", lw=1)
            for k, run in enumerate([runs[0], *(r for r in asked if r is not runs[0])]):
                ink = COLOURS[k % len(COLOURS)]
                if not methods.find(run["method"]).interacts:
                    axes.axhline(score(run), color=ink, ls="-.", label=f"{run['run']} (final)")
                    continue
                rows = [
                    r | {measure: score(r)}
                    for r in data.curves
                    if (r["task"], r["run"]) == (task, run["run"])
                ]
                line(axes, rows, measure, "step", color=ink, label=run["run"])
            axes.set_ylabel(measure)
            over_steps(axes, "agent steps")

        return plot

    levels = ", ".join(f"{run['run']} {score(run):.4g}" for run in runs)
    label = f"Learning curves on {task}, a panel per question. At the end: {levels}."
    plots = {question: of(asked) for question, asked in questions.items()}
    return draw_grid(f"learning_curves--{file_name(task)}", label, plots)


def _episodes(data: Data, task: str) -> Panel:
    """The return of every evaluation episode, a row of points per seed, with the seed's mean."""
    runs = [run for run in data.runs if run["task"] == task]
    colour = colours(data)
    episodes = [row for row in data.episodes if row["task"] == task]
    succeed = any(row["success"] is not None for row in episodes)

    def plot(axes: Any) -> None:
        for k, run in enumerate(runs):
            agents = [r for r in data.summary if (r["task"], r["run"]) == (task, run["run"])]
            ink = colour.get(run["run"], INK)
            for n, agent in enumerate(agents):
                height = k + 0.6 * ((n + 0.5) / len(agents) - 0.5)
                mine = [r for r in episodes if (r["run"], r["seed"]) == (run["run"], agent["seed"])]
                for filled in (True, False):
                    points = [r["return"] for r in mine if (r["success"] is not False) == filled]
                    axes.plot(
                        points, [height] * len(points), ls="", marker="o", ms=4.5, alpha=0.6,
                        mfc=ink if filled else "none", mec=ink, mew=0.8, gid="points",
                    )  # fmt: skip
                mean = agent["return_mean"]
                axes.plot([mean, mean], [height - 0.13, height + 0.13], color=INK, lw=2)
        axes.set_yticks(range(len(runs)), [run["run"] for run in runs])
        lowest = min(0.0, *(row["return"] for row in episodes))
        axes.set(
            ylim=(len(runs) - 0.5, -0.5), xlabel="return", xlim=(None if lowest < 0 else 0, None)
        )
        axes.grid(visible=False, axis="y")

    what = (
        "filled where it succeeds; a bar is a seed's mean" if succeed else "a bar is a seed's mean"
    )
    spans = ", ".join(f"{r['run']} {r['return_min']:.0f} to {r['return_max']:.0f}" for r in runs)
    label = f"Return of each evaluation episode on {task}, {what}: {spans}."
    title, height = f"Evaluation episodes on {task}", max(SIZE[1], ROW * len(runs))
    return draw(f"episodes--{file_name(task)}", title, label, plot, height)


def _diagnostics(data: Data, run: Row) -> list[Panel]:
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
        ("reward", DIAGNOSTICS["reward"], _both("reward"), on_streams("reward")),
        ("q", DIAGNOSTICS["q"], _both("q"), on_streams("q")),
        *((f.name, f.title, [one.column for one in f.lines], method_figure(f)) for f in own),
        ("consistency", DIAGNOSTICS["consistency"], horizon, consistency),
    ]
    return [
        _panel(kind, title, where, rows, names, plot, run)
        for kind, title, names, plot in drawn
        if all(name in rows[-1] for name in names)  # what was not recorded is left out
    ]


def _both(quantity: str) -> list[str]:
    return [f"{quantity}_expert", f"{quantity}_behaviour"]


def _gradients(data: Data, task: str) -> list[Panel]:
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


def _losses(data: Data, task: str) -> list[Panel]:
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

    terms = losses(run["method"] for run in data.runs if run["task"] == task)
    return [panel for name, title in terms.items() if (panel := of(name, title))]


def gradients_of(task: str, run: str) -> str:
    """The name of the panel of a run's gradient norms."""
    return _name("gradients", task, run)


# ---- what they share ----------------------------------------------------------------------------


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
