"""What a report holds, known from the configuration alone: its tables, and what
`snakemake --report` shows. Standard library alone: Snakemake reads it while it plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
LOSSES = {
    "consistency_loss": "Consistency loss",
    "reward_loss": "Reward loss",
    "value_loss": "Value loss",
    "policy_loss": "Policy loss",
    "bc_loss": "Cloning loss",
}
PREDICTING = ("cdred", "red")  # methods with two predictors
DIAGNOSTICS = {
    "reward": "Reward",
    "q": "Q",
    "errors": "Errors of the two predictors",
    "consistency": "Latent consistency",
}


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
        for kind, what in DIAGNOSTICS.items():
            if run.method == "bc" or (kind == "errors" and run.method not in PREDICTING):
                continue
            labels = {"task": task, "run": name, "figure": what}
            found.append(Shown(f"{kind}--{task}--{name}.svg", "Reward diagnostics", kind, labels))
    for name in dict.fromkeys([*experts, *runs]):
        labels = {"task": task, "run": name}
        found.append(Shown(f"gradients--{task}--{name}.svg", "Gradient norms", "gradients", labels))
    clones = [run.method == "bc" for run in runs.values()]
    for name, what in LOSSES.items():
        if any(clones) if name == "bc_loss" else experts or not all(clones):
            labels = {"task": task, "loss": what}
            found.append(Shown(f"loss--{task}--{name}.svg", "Losses", "losses", labels))
    return found
