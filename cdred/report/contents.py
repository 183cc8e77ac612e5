"""What a report holds, known from the configuration alone: its tables, and what
`snakemake --report` shows. Without numpy and torch: Snakemake reads it while it plans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdred import methods

if TYPE_CHECKING:
    from cdred.config import Config

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
    "diagnostics": "rewards, errors, losses and gradient norms over training",
    "lineage": "what each result was made from",
}
# Of methods that interact; others are their own (Method.presentation).
DIAGNOSTICS = {"reward": "Reward", "q": "Q", "consistency": "Latent consistency"}


@dataclass(frozen=True)
class Shown:
    """A file that every report of the configuration has; `caption` names one of
    workflow/report/*.rst."""

    file: str
    category: str
    caption: str
    labels: dict[str, str] = field(default_factory=dict)


def task_page(task: str) -> str:
    """The page of one task, of an experiment that has several."""
    return f"task--{task}.html"


def shown(config: Config) -> list[Shown]:
    tasks = config.experiment.tasks
    found = [Shown("report.html", "Pages", "page", {"page": "the whole experiment"})]
    if len(tasks) > 1:
        found += [Shown(task_page(t), "Pages", "task_page", {"page": t}) for t in tasks]
    found += [Shown(f"{t}.csv", "Tables", t, {"table": what}) for t, what in TABLES.items()]
    if len(config.experiment.seeds) > 1:
        found += [
            Shown(f"{name}.svg", "Over tasks and seeds", f"{name}_figure", {"figure": TABLES[name]})
            for name in ("profiles", "efficiency")
        ]
    for task in tasks:
        for name, caption, what in (
            ("learning_curves", "learning_curves", "learning curves"),
            ("episodes", "episodes_figure", "evaluation episodes"),
        ):
            labels = {"task": task, "figure": what}
            found.append(Shown(f"{name}--{task}.svg", "Returns", caption, labels))
    return found + [figure for task in tasks for figure in _of_training(config, task)]


def _of_training(config: Config, task: str) -> list[Shown]:
    """What is drawn of the training of each run and of the experts that learned."""
    runs = {name: config.runs[name] for name in config.experiment.runs}
    demos = [config.demos[run.demos] for run in runs.values()]
    experts = [d.expert for d in demos if d.expert and config.experts[d.expert].source == "train"]
    found = []
    for name, run in runs.items():
        for kind, what, caption in _diagnostics(run.definition):
            labels = {"task": task, "run": name, "figure": what}
            file = f"{kind}--{task}--{name}.svg"
            found.append(Shown(file, "Reward diagnostics", caption, labels))
    for name in dict.fromkeys([*experts, *runs]):
        labels = {"task": task, "run": name}
        found.append(Shown(f"gradients--{task}--{name}.svg", "Gradient norms", "gradients", labels))
    trained = [methods.find(methods.EXPERT)] * bool(experts)
    trained += [run.definition for run in runs.values()]
    for name, what in losses(trained).items():
        labels = {"task": task, "loss": what}
        found.append(Shown(f"loss--{task}--{name}.svg", "Losses", "losses", labels))
    return found


def _diagnostics(method: methods.Method) -> list[tuple[str, str, str]]:
    """Name, title and caption of each figure over the training of a run of a method."""
    shared = DIAGNOSTICS if method.interacts else {}
    own = method.presentation().figures
    return [
        *((name, title, name) for name, title in shared.items()),
        *((figure.name, figure.title, figure.caption) for figure in own),
    ]


def losses(trained: Iterable[methods.Method]) -> dict[str, str]:
    """The losses that any of the methods has, with their titles."""
    return {name: what for m in trained for name, what in m.presentation().losses.items()}
