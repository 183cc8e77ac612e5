"""`cdred results`: small tables of an experiment to commit, and docs/results.md from them. What
is up to date is entered; agents entered before that no longer are go by `--force` alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cdred import manifest, methods
from cdred.envs.tasks import file_name, find
from cdred.errors import CdredError
from cdred.plan import Job, Plan
from cdred.plan.description import describe
from cdred.report import collect, figures, published, score_figures, training_figures
from cdred.report.rows import Data, read_csv, write_table
from cdred.report.svg import Panel
from cdred.tools import circumstances, cost

FOLDER = Path("results")
PAGE = Path("docs/results.md")
# Raw scores, runs over their seeds, the figures' data, and, where every run is there on every task
# and seed, what is said over tasks.
FIGURES = ("learning_curves", "demonstrations", "episodes", "gradients")
NAMES = {"task", "run", "method", "acts_by", "expert", "demos", "alike", "over"}  # columns of text
TABLES = ("summary", "runs", "curves", "demos", "published", "aggregates", "improvements")
INTRODUCTION = """# Results

What was measured so far, from the tables in `results/`: `cdred results` writes this page. `cdred
use config/NAME.yaml` and `snakemake --cores all` run an experiment, `cdred results` enters what
of it is finished. Shares are of the measured expert's score. Intervals are at 95 %, by bootstrap
over seeds and episodes; over tasks by rliable. Gradient norms are the world model's before
clipping, over all updates. Where more than four runs are compared, the learning curves have a
panel for each question, in which the first run stands beside those that vary one thing. A result's
bits depend on the kind of processor, so compare within a section. The commit is the last one that
changed what training depends on; `manifest.json` beside the tables names the artifacts."""
AGENTS = "artifacts/agents/"
NOTES = "words.md"  # by hand, of an experiment or of all: what holds, what does not, is not known


def enter(plan: Plan, force: bool = False) -> Path:
    """Write the tables of what is up to date into results/EXPERIMENT/.

    Raises CdredError when there is nothing, or when agents entered before would be lost.
    """
    name = plan.config.experiment.name
    folder = plan.root / FOLDER / name
    jobs = _finished(plan)
    agents = {job.path.as_posix(): job for job in jobs if job.stage == "imitate"}
    if not agents:
        raise CdredError(f"experiment {name!r}: no evaluated agent is up to date; run it first")
    before = _entered(folder)
    lost = [path for path in before if path not in agents]
    if lost and not force:
        raise CdredError(
            f"{FOLDER / name}: would lose {len(lost)} agents that are not up to date and evaluated "
            f"here: {lost[0]}; run the experiment, or drop them by --force"
        )
    for job in jobs:
        manifest.verify(plan.root / job.path, job.command)
    data = collect.collect(describe(plan, jobs))
    folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        file, rows = folder / f"{table}.csv", getattr(data, table)
        if rows:
            write_table(file, rows)
        else:
            file.unlink(missing_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for panel in _panels(data):
        (folder / panel.file).write_text(panel.svg + "\n", encoding="utf-8")
    (folder / manifest.NAME).write_text(
        json.dumps(_provenance(plan, jobs), indent=1) + "\n", encoding="utf-8"
    )
    return folder


def _finished(plan: Plan) -> list[Job]:
    """The report's inputs that are up to date and evaluated, with all that they were made from."""
    fresh = {job.path: job for job in plan.report.inputs if job.up_to_date(plan.root)}
    evaluated = {job.inputs[0].path for job in fresh.values() if job.stage == "evaluate"}

    def whole(job: Job) -> bool:
        if job.stage == "demos":
            return all(whole(source) for source in job.inputs)
        if job.stage == "evaluate":
            return whole(job.inputs[0])
        present = job.path in fresh and job.path in evaluated
        return present and all(whole(source) for source in job.inputs)

    return [job for job in fresh.values() if whole(job)]


def _panels(data: Data) -> list[Panel]:
    """The report's figures that the page shows: of each task the learning curves, the episodes,
    and the gradient norms, where all methods are compared whose norms were published."""
    drawn, panels = figures.make(data), []
    compared = published.methods_with_gradient_norms()
    for task in data.tasks:
        runs = [run for run in data.runs if run["task"] == task]
        panels.append(score_figures.learning_curves_by_question(data, task))
        panels += [drawn.demonstrations[task]] if task in drawn.demonstrations else []
        panels.append(drawn.episodes[task])
        norms = {
            run["method"]: panel
            for run in reversed(runs)  # of several runs of a method the first
            for panel in drawn.gradients[task]
            if panel.name == training_figures.gradients_of(task, run["run"])
        }
        if set(compared) <= norms.keys():
            panels += [norms[method] for method in compared]
    return panels


def _entered(folder: Path) -> list[str]:
    """The agents whose results were entered."""
    if not (folder / manifest.NAME).exists():
        return []
    return [path for path in _provenance_of(folder)["artifacts"] if path.startswith(AGENTS)]


def _provenance_of(folder: Path) -> dict[str, Any]:
    """Read what `_provenance` wrote. Raises CdredError when it is damaged."""
    file = folder / manifest.NAME
    try:
        provenance = json.loads(file.read_text(encoding="utf-8"))
        for artifact in provenance["artifacts"].values():
            _ = artifact["machine"], artifact["device"]
        _ = provenance["commit"].split
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CdredError(f"{file}: damaged; take it from git again, or remove it") from None
    return dict(provenance)


def _provenance(plan: Plan, jobs: Iterable[Job]) -> dict[str, Any]:
    """The identity of each artifact: derivation, contents, the machine's kind, and how long it took
    if it was made here."""
    artifacts = {}
    for job in jobs:
        known = manifest.read(plan.root / job.path)
        assert known is not None
        artifacts[job.path.as_posix()] = {
            key: known[key] for key in ("digest", "inputs", "machine", "device")
        } | {"sha256": manifest.hash_file(plan.root / job.path / manifest.NAME)}
        if events := cost.read(plan.root, job):
            artifacts[job.path.as_posix()]["seconds"] = round(cost.spent(events)["seconds"])
    return {
        "experiment": plan.config.experiment.name,
        "commit": circumstances.commit(plan),
        "artifacts": artifacts,
    }


# ---- docs/results.md --------------------------------------------------------------------------


def redraw(root: Path = Path()) -> None:
    """Draw the learning curves again, from the tables of results/ alone."""
    for folder in sorted(p.parent for p in (root / FOLDER).glob("*/runs.csv")):
        tables = ("summary", "runs", "curves", "demos")
        data = Data(**{name: _numbers(folder / f"{name}.csv") for name in tables})
        for task in data.tasks:
            panel = score_figures.learning_curves_by_question(data, task)
            (folder / panel.file).write_text(panel.svg + "\n", encoding="utf-8")


def _numbers(file: Path) -> list[dict[str, Any]]:
    """The rows of a table, numbers as such; None where a cell is empty."""

    def value(text: str) -> Any:
        try:
            return int(text) if text.isdecimal() else float(text)
        except ValueError:
            return text or None

    return [
        {name: cell if name in NAMES else value(cell) for name, cell in row.items()}
        for row in read_csv(file)
    ]


def page(root: Path = Path()) -> str:
    """docs/results.md, from the tables of results/ alone: first those that its words name, in their
    order."""
    words = _words(root / FOLDER)
    folders = [p.parent for p in (root / FOLDER).glob("*/runs.csv")]
    named = re.findall(r"`(\w+)`", "".join(words))
    order = {name: k for k, name in enumerate(dict.fromkeys(named))}
    folders.sort(key=lambda folder: (order.get(folder.name, len(order)), folder.name))
    return "\n\n".join([INTRODUCTION, *words, *map(_section, folders)]) + "\n"


def _section(folder: Path) -> str:
    runs, summary = (read_csv(folder / f"{name}.csv") for name in ("runs", "summary"))
    lines = [f"## {folder.name}", _origin(folder), *_words(folder)]
    head = ["task", "run", "seeds", "score", "95 % interval", "of the expert", "each seed",
            "first at 90 %, agent steps", "gradient norm, mean / max"]  # fmt: skip
    rows = []
    for run in runs:
        own = [r for r in summary if (r["task"], r["run"]) == (run["task"], run["run"])]
        rows.append(_row(run, own))
    lines.append(_markdown(head, rows))
    tasks = dict.fromkeys(run["task"] for run in runs)
    for kind in FIGURES:
        names = [
            file.name
            for task in tasks
            for of in ("", "--*")  # the task itself, or its runs
            for file in sorted(folder.glob(f"{kind}--{file_name(task)}{of}.svg"))
        ]
        if names:
            places = [f"../{FOLDER.name}/{folder.name}/{name}" for name in names]
            lines.append("\n".join(f"![{Path(at).stem}]({at})" for at in places))
    if (folder / "aggregates.csv").is_file():
        lines.append(_markdown(
            ["run", "tasks", "seeds", "interquartile mean of shares", "95 % interval"],
            [
                [r["run"], r["tasks"], r["seeds"], f"{float(r['iqm']):.3f}",
                 f"{float(r['iqm_low']):.3f} to {float(r['iqm_high']):.3f}"]
                for r in read_csv(folder / "aggregates.csv")
            ],
        ))  # fmt: skip
    return "\n\n".join(lines)


def _words(folder: Path) -> list[str]:
    """The words written by hand on a folder's results, if there are any."""
    file = folder / NOTES
    return [file.read_text(encoding="utf-8").strip()] if file.is_file() else []


def _origin(folder: Path) -> str:
    """The commit that trained its agents, the machines, and the time of all that is known."""
    provenance = _provenance_of(folder)
    own = [a for path, a in provenance["artifacts"].items() if path.startswith(AGENTS)]
    machines = sorted({f"{agent['machine']} ({agent['device']})" for agent in own})
    sha, *changed = provenance["commit"].split("-")
    commit = "-".join([sha[:12], *changed])
    seconds = sum(one.get("seconds", 0) for one in provenance["artifacts"].values())
    took = f"; it took {cost.clock(seconds)}, one job after another" if seconds else ""
    return f"Trained at commit {commit}, on {' and '.join(machines)}{took}."


def _row(run: dict[str, str], agents: list[dict[str, str]]) -> list[str]:
    """A run's line as text."""
    successes = find(run["task"]).measure == "success"
    column, low, high = (
        ("success", "success_low", "success_high")
        if successes
        else ("return_mean", "interval_low", "interval_high")
    )

    def formatted(text: str) -> str:
        return f"{100 * float(text):.0f} %" if successes else f"{float(text):.1f}"

    steps = [
        f"{int(a['goal_step']):,}" if a["goal_step"] else "never" if a["expert_share"] else "n/a"
        for a in agents
    ]
    imitates = run["demos"] and methods.find(run["method"]).interacts
    norms = ""
    if run["grad_norm_mean"]:
        norms = f"{float(run['grad_norm_mean']):.2f} / {float(run['grad_norm_max']):.1f}"
    return [
        run["task"], run["run"], run["seeds"], formatted(run[column]),
        f"{formatted(run[low])} to {formatted(run[high])}",
        f"{100 * float(run['expert_share']):.1f} %" if run["expert_share"] else "",
        ", ".join(formatted(agent[column]) for agent in agents),
        ", ".join(steps) if imitates else "",
        norms,
    ]  # fmt: skip


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
