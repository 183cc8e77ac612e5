"""The text that the templates are filled with: verdicts, facts and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cdred import methods
from cdred.envs.tasks import find
from cdred.errors import counted
from cdred.report import aggregates, published, text_rows
from cdred.report.catalogue import TABLES
from cdred.report.markup import code, plain
from cdred.report.rows import GOAL, Data, Row, is_expert

if TYPE_CHECKING:
    from cdred.report.experiment import Artifact, Experiment


def context(experiment: Experiment, data: Data) -> dict[str, Any]:
    """The values of the templates' variables, of an experiment or of one task."""
    succeeds = any(run["success"] is not None for run in data.runs)
    return {
        "name": experiment.name,
        "facts_rows": [*_facts(experiment, data), *experiment.facts],
        "docs": "/".join(".." for _ in experiment.path.split("/")),
        "path": experiment.path,
        "logs": experiment.logs,
        "verdicts": _verdicts(data),
        "whose": Markup(aggregates.whose(data)),
        "answer": answer(data),
        "several_seeds": any(run["seeds"] > 1 for run in data.runs),
        "one_seed": any(run["seeds"] == 1 for run in data.runs),
        "best_kept": list(
            dict.fromkeys(r["run"] for r in data.runs if experiment.entries[r["run"]].keeps_best)
        ),
        "success_head": ["success at the end", "its 95 % interval", "once"] if succeeds else [],
        "returns_rows": text_rows.returns(data, succeeds),
        "seed_rows": text_rows.by_seed(experiment, data),
        "obstacle": aggregates.obstacle(data),
        "aggregate_rows": text_rows.over_tasks(data),
        "improvement_rows": text_rows.improvements(data),
        "first_rows": text_rows.first_steps(data),
        "published_rows": published.in_text(data),
        "compared": any(row["published"] is not None for row in data.published),
        "published_sentences": published.sentences({find(task).suite for task in data.tasks}),
        "demo_rows": text_rows.demonstrations(data),
        "episode_tables": {task: text_rows.episodes(data, task) for task in data.tasks},
        "demonstrated_rows": text_rows.demonstrated(data),
        "film_rows": _films(data),
        "worst_filmed": any(row["film"] == "worst" for row in data.films),
        "gradient_head": ["source"] if text_rows.norms_published(data) else [],
        "gradient_rows": text_rows.gradients(data),
        "published_norms": {
            task: norms
            for task, norms in published.with_gradient_norms().items()
            if task not in data.tasks
        },
        "cost_rows": text_rows.costs(data),
        "absent_rows": _absent(experiment, data),
        "tree": _tree(experiment.artifacts),
        "lineage_rows": [
            [code(r["artifact"]), code(r["digest"][:12]), code(r["command"])] for r in data.lineage
        ],
        "csv_files": Markup(", ").join(code(f"{name}.csv") for name in TABLES),
    }


def _verdicts(data: Data) -> list[Markup]:
    """One sentence per imitating agent: whether it reached the goal."""
    lines = []
    for r in data.summary:
        if is_expert(r):
            continue
        what = find(r["task"]).measure
        name = f"**{plain(r['run'])}** on {plain(r['task'])}, seed {r['seed']}"
        model, whose = aggregates.standard(r)
        has = "has" if r["expert"] else "have"
        if r["expert_share"] is None:
            level = r["expert_score"]
            reason = (
                f"the {what} of its {model} is unknown"
                if level is None
                else f"its {model} {has} {level:g} {what}"
            )
            lines.append(Markup(f"{name}: {reason}; nothing to compare with."))
            continue
        verdict = "reaches" if r["expert_share"] >= GOAL else "does not reach"
        reached = text_rows.score(r) if what == "success" else f"mean return {text_rows.score(r)}"
        step = r["goal_step"]
        unit = methods.find(r["method"]).unit
        first = f"; its learning curve first did at {unit} {step:,}" if step else ""
        lines.append(
            Markup(
                f"{name}: {reached} over {counted(r['episodes'], 'episode')}, "
                f"{text_rows.percent(r['expert_share'])} of its {whose}: "
                f"{verdict} {100 * GOAL:.0f} %{first}."
            )
        )
    return lines


def answer(data: Data, link: Callable[[str], str] = str) -> dict[str, list[Any]]:
    """The score of each run on each task: the runs by the task, or several tasks by the runs, their
    names with a `link`."""
    by_run = {(r["run"], r["task"]): r for r in data.runs}
    names = list(dict.fromkeys(r["run"] for r in data.runs))

    def cell(run: str, task: str) -> str:
        r = by_run.get((run, task))
        return f"{text_rows.score(r)} ({text_rows.percent(r['expert_share'])})" if r else ""

    if len(data.tasks) == 1:
        (task,) = data.tasks
        return {"head": ["run", task], "rows": [[run, cell(run, task)] for run in names]}
    rows = [[link(task), *(cell(run, task) for run in names)] for task in data.tasks]
    return {"head": ["task", *names], "rows": rows}


def _facts(experiment: Experiment, data: Data) -> list[tuple[str, str]]:
    """The facts of the experiment, for the header."""
    runs = [entry for entry in experiment.entries.values() if entry.imitates]

    def numbers(values: Iterable[int]) -> str:
        return ", ".join(f"{value:,}" for value in sorted(set(values)))

    episodes = (row["episodes"] for row in data.summary)
    interacting = [run.steps for run in runs if methods.find(run.method).interacts]
    return [
        ("tasks" if len(experiment.tasks) > 1 else "task", ", ".join(experiment.tasks)),
        ("runs", ", ".join(run.name for run in runs)),
        ("seeds" if len(experiment.seeds) > 1 else "seed", ", ".join(map(str, experiment.seeds))),
        ("demonstrations", numbers(run.demo_episodes for run in runs)),
        *([("agent steps", numbers(interacting))] if interacting else []),
        ("evaluation episodes", numbers(episodes)),
    ]


def _absent(experiment: Experiment, data: Data) -> list[Markup]:
    """The sections that the report lacks, and what each takes."""
    run = "then `snakemake --cores all`"
    lines = []
    if not data.films:
        lines.append(f"Films: `evaluation.video: 150` in params.yaml, {run}.")
    if not experiment.varied():
        lines.append(
            "Return by the number of demonstrations: runs with several `demo_episodes`, as "
            f"`cdred use config/few_demonstrations.yaml` has them, {run}."
        )
    if not any(row["published"] is not None for row in data.published):
        lines.append(
            "Published numbers: none is known of this task; `cdred use "
            f"config/paper_dmcontrol.yaml`, {run}, measures some of the paper's."
        )
    if not any("reward_expert" in row for row in data.diagnostics):
        lines.append(
            "Reward diagnostics: a run by a method that learns a reward, such as `cdred`, under "
            "`experiment.runs` of params.yaml."
        )
    return [Markup(line) for line in lines]


def _films(data: Data) -> dict[str, list[Row]]:
    """By task, each run's films of its lowest seed that has one, the median's first."""
    order = list(dict.fromkeys(row["run"] for row in data.runs))
    lowest: dict[tuple[str, str], int] = {}
    for row in data.films:
        key = row["task"], row["run"]
        lowest[key] = min(row["seed"], lowest.get(key, row["seed"]))
    films = [row for row in data.films if row["seed"] == lowest[row["task"], row["run"]]]
    films.sort(key=lambda row: order.index(row["run"]))
    by_task = {task: [row for row in films if row["task"] == task] for task in data.tasks}
    return {task: rows for task, rows in by_task.items() if rows}


def _tree(artifacts: Iterable[Artifact]) -> list[Markup]:
    """The artifacts as a nested list: each below its input, with its evaluation beside it."""
    artifacts = list(artifacts)
    made = {"expert": "expert", "demos": "demonstrations", "imitate": "agent"}

    def below(parent: Artifact | None, depth: int) -> list[Markup]:
        lines: list[Markup] = []
        for artifact in artifacts:
            if artifact.stage == "evaluate" or parent is not (
                artifact.inputs[0] if artifact.inputs else None
            ):
                continue
            name = f"{made[artifact.stage]} **{plain(artifact.entry)}**"
            name += f", seed {artifact.seed}" if artifact.stage == "imitate" else ""
            name += f" on {plain(artifact.task)}" if parent is None else ""
            line = f"{'  ' * depth}- {name} {code(artifact.digest[:12])}"
            for other in artifacts:
                if other.stage == "evaluate" and other.inputs[0] is artifact:
                    line += f" → evaluation {code(other.digest[:12])}"
            lines += [Markup(line), *below(artifact, depth + 1)]
        return lines

    return below(None, 0)
