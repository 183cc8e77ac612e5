"""The catalogue of a report: its tables, and the files that `snakemake --report` shows. Standard
library alone: Snakemake reads it while it plans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cdred import methods
from cdred.envs.tasks import file_name
from cdred.learning.display import display_of
from cdred.report.experiment import Entry, Experiment

# Each written as a CSV file under its name, with what it is.
TABLES = {
    "runs": "each run: final returns, stability, cost",
    "summary": "each trained agent",
    "published": "beside the published numbers",
    "aggregates": "interquartile means over tasks and seeds",
    "improvements": "probabilities of improvement",
    "profiles": "performance profiles",
    "efficiency": "sample efficiency",
    "episodes": "each evaluation episode",
    "curves": "learning curves",
    "demos": "demonstrations",
    "demo_episodes": "each demonstrated episode",
    "diagnostics": "rewards, errors, losses and gradient norms over training",
    "lineage": "what each result was made from",
}
METRICS = "metrics.json"  # the numbers of the table of runs
# Figures of every method that learns a reward; a method's own come after `q`.
DIAGNOSTICS = {
    "reward": "Reward",
    "q": "Q",
    "consistency": "Latent consistency",
}


@dataclass(frozen=True)
class ReportFile:
    """A file of every report of an experiment; `caption` names one of workflow/report/*.rst."""

    file: str
    category: str
    caption: str
    labels: dict[str, str] = field(default_factory=dict)


def task_page(task: str) -> str:
    """The page of one task, of an experiment that has several."""
    return f"task--{file_name(task)}.html"


def losses(names: Iterable[str]) -> dict[str, str]:
    """The losses of the methods called `names`, with their titles."""
    return {k: v for name in names for k, v in display_of(methods.find(name)).losses.items()}


def files(experiment: Experiment) -> list[ReportFile]:
    """The files that `snakemake --report` shows."""
    tasks = experiment.tasks
    pages = [ReportFile("report.html", "Pages", "page", {"page": "the whole experiment"})]
    if len(tasks) > 1:
        pages += [ReportFile(task_page(t), "Pages", "task_page", {"page": t}) for t in tasks]
    tables = [ReportFile(f"{t}.csv", "Tables", t, {"table": what}) for t, what in TABLES.items()]
    overall = [
        ReportFile(
            f"{name}.svg", "Over tasks and seeds", f"{name}_figure", {"figure": TABLES[name]}
        )
        for name in ("profiles", "efficiency")
        if len(experiment.seeds) > 1
    ]
    returns = [
        ReportFile(
            f"{name}--{file_name(task)}.svg", "Returns", caption, {"task": task, "figure": what}
        )
        for task in tasks
        for name, caption, what in (
            ("learning_curves", "learning_curves", "learning curves"),
            ("episodes", "episodes_figure", "evaluation episodes"),
        )
    ]
    demonstrations = [
        ReportFile(
            f"demonstrations--{file_name(task)}.svg", "Returns", "demonstrations_figure",
            {"task": task, "figure": "number of demonstrations"},
        )
        for task in tasks
        if experiment.varied()
    ]  # fmt: skip
    demonstrated = [
        ReportFile(
            f"demonstrated--{file_name(task)}--{name}.svg", "Returns", "demonstrated_figure",
            {"task": task, "demos": name, "figure": "demonstrated episodes"},
        )
        for task in tasks
        for name in dict.fromkeys(e.demos for e in experiment.entries.values() if e.imitates)
    ]  # fmt: skip
    training = [file for task in tasks for file in _of_training(experiment, task)]
    return [*pages, *tables, *overall, *returns, *demonstrations, *demonstrated, *training]


def _of_training(experiment: Experiment, task: str) -> list[ReportFile]:
    """The figures of the training of each run and of the experts that learned here."""
    trained = [e for e in experiment.entries.values() if e.imitates or e.trained]
    in_files = file_name(task)
    figures = [
        ReportFile(
            f"{kind}--{in_files}--{entry.name}.svg", "Reward diagnostics", caption,
            {"task": task, "run": entry.name, "figure": title},
        )
        for entry in trained
        for kind, title, caption in _diagnostics(entry)
    ]  # fmt: skip
    figures += [
        ReportFile(
            f"gradients--{in_files}--{entry.name}.svg", "Gradient norms", "gradients",
            {"task": task, "run": entry.name},
        )
        for entry in trained
    ]  # fmt: skip
    return figures + [
        ReportFile(
            f"loss--{in_files}--{name}.svg", "Losses", "losses", {"task": task, "loss": title}
        )
        for name, title in losses(entry.method for entry in trained).items()
    ]


def _diagnostics(entry: Entry) -> list[tuple[str, str, str]]:
    """The name, title and caption of each figure of a run's reward."""
    method = methods.find(entry.method)
    if not entry.imitates or method.reward_model is None:
        return []
    shared = [(kind, title, kind) for kind, title in DIAGNOSTICS.items()]
    return shared + [(f.name, f.title, f.caption) for f in display_of(method).figures]
