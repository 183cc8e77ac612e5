"""The figures of scores: learning curves, final scores by the number of demonstrations, episodes of
agents and of demonstrations."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from cdred import methods
from cdred.envs.tasks import file_name, find
from cdred.learning.display import display_of
from cdred.report.colours import colours
from cdred.report.plotting import line, over_steps
from cdred.report.rows import is_expert, known_score, score
from cdred.report.svg import COLOURS, DASHES, INK, SIZE, Panel, Plot, draw, draw_grid

if TYPE_CHECKING:
    from cdred.report.rows import Data, Row

ROW = 0.45  # inches of a run's episodes
POINTS = 60  # of an episode's line
MANY = 4  # runs: more than these are not told apart in one panel


def learning_curves(data: Data, task: str) -> Panel:
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


def by_demonstrations(data: Data, task: str) -> Panel | None:
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


def demonstrated(data: Data, task: str) -> dict[str, Panel]:
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
        return learning_curves(data, task)
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


def episodes(data: Data, task: str) -> Panel:
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
