"""The text that the templates are filled with: verdicts, and the rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cdred import methods
from cdred.envs.tasks import find
from cdred.errors import counted
from cdred.report import aggregates, published
from cdred.report.catalogue import TABLES
from cdred.report.markup import code, plain
from cdred.report.rows import GOAL, Data, Row, is_expert

if TYPE_CHECKING:
    from cdred.report.experiment import Artifact, Experiment

NEVER = "never"


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
        "answer": answer(data),
        "several_seeds": any(run["seeds"] > 1 for run in data.runs),
        "one_seed": any(run["seeds"] == 1 for run in data.runs),
        "best_kept": list(
            dict.fromkeys(r["run"] for r in data.runs if experiment.entries[r["run"]].keeps_best)
        ),
        "success_head": ["success at the end", "its 95 % interval", "once"] if succeeds else [],
        "returns_rows": _returns(data, succeeds),
        "seed_rows": _by_seed(experiment, data),
        "obstacle": aggregates.obstacle(data),
        "aggregate_rows": _aggregates(data),
        "improvement_rows": _improvements(data),
        "first_rows": _first_steps(data),
        "published_rows": published.in_text(data),
        "compared": any(row["published"] is not None for row in data.published),
        "published_sentences": published.sentences({find(task).suite for task in data.tasks}),
        "demo_rows": _demonstrations(data),
        "episode_tables": {task: _episodes(data, task) for task in data.tasks},
        "demonstrated_rows": _demonstrated(data),
        "film_rows": _films(data),
        "worst_filmed": any(row["film"] == "worst" for row in data.films),
        "gradient_head": ["source"] if _norms_published(data) else [],
        "gradient_rows": _gradients(data),
        "published_norms": {
            task: norms
            for task, norms in published.with_gradient_norms().items()
            if task not in data.tasks
        },
        "cost_rows": _costs(data),
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
        model, has, whose = (
            ("expert", "has", "expert's")
            if r["expert"]
            else ("demonstrations", "have", "demonstrations'")
        )
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
        reached = _score(r) if what == "success" else f"mean return {_score(r)}"
        step = r["goal_step"]
        unit = methods.find(r["method"]).unit
        first = f"; its learning curve first did at {unit} {step:,}" if step else ""
        lines.append(
            Markup(
                f"{name}: {reached} over {counted(r['episodes'], 'episode')}, "
                f"{_percent(r['expert_share'])} of its {whose}: {verdict} {100 * GOAL:.0f} %"
                f"{first}."
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
        return f"{_score(r)} ({_percent(r['expert_share'])})" if r else ""

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


def _returns(data: Data, succeeds: bool) -> list[list[Any]]:
    """Each run's returns over all its seeds; its successes too where the suite knows them."""
    return [
        [
            r["task"], r["run"], r["method"], r["acts_by"], r["seeds"], r["episodes"],
            f"{r['return_mean']:.1f}", f"{r['interval_low']:.1f} to {r['interval_high']:.1f}",
            _range(r), _percent(r["expert_share"]),
            *(
                [_percent(r["success"]), _success_interval(r), _percent(r["success_once"])]
                if succeeds
                else []
            ),
        ]
        for r in data.runs
    ]  # fmt: skip


def _by_seed(experiment: Experiment, data: Data) -> list[list[Any]]:
    """Each agent's returns."""
    return [
        [
            r["task"], r["run"], r["method"], experiment.entries[r["run"]].acts_by, r["seed"],
            r["episodes"], f"{r['return_mean']:.1f}", _range(r), _percent(r["expert_share"]),
        ]
        for r in data.summary
    ]  # fmt: skip


def _aggregates(data: Data) -> list[list[Any]]:
    """Each run's interquartile mean and mean over tasks and seeds."""
    return [
        [
            r["run"], r["tasks"], r["seeds"], f"{r['iqm']:.3f}",
            f"{r['iqm_low']:.3f} to {r['iqm_high']:.3f}", f"{r['mean']:.3f}",
        ]
        for r in data.aggregates
    ]  # fmt: skip


def _improvements(data: Data) -> list[list[Any]]:
    """The probability that one run is better than another."""
    return [
        [r["run"], r["over"], f"{r['probability']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}"]
        for r in data.improvements
    ]


def _demonstrations(data: Data) -> list[list[Any]]:
    """Each set of demonstrations with its returns."""
    return [
        [
            r["task"], r["demos"], r["expert"] or published.UNKNOWN, r["episodes"],
            _return(r["return_mean"]), _range(r),
        ]
        for r in data.demos
    ]  # fmt: skip


def _costs(data: Data) -> list[list[Any]]:
    """The steps, updates and size of each run."""
    counts = "agent_steps", "environment_steps", "updates", "parameters"
    return [
        [
            r["task"], r["run"], *(f"{r[key]:,}" for key in counts),
            f"{r['checkpoint_bytes'] / 1e6:.2f} MB",
        ]
        for r in data.runs
    ]  # fmt: skip


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


def _first_steps(data: Data) -> list[list[Any]]:
    """The steps at which each interacting agent first reached half of its expert's score, and the
    goal."""
    length = {(r["task"], r["run"]): r["agent_steps"] for r in data.runs}
    return [
        [
            r["task"], r["run"], r["seed"],
            *(_first(r, key) for key in ("half_step", "goal_step")),
            f"{length[r['task'], r['run']]:,}",
        ]
        for r in aggregates.imitating(data)
        if methods.find(r["method"]).interacts
    ]  # fmt: skip


def _first(row: Row, key: str) -> str:
    if row["expert_share"] is None:
        return "n/a"
    return f"{row[key]:,}" if row[key] else NEVER


def _episodes(data: Data, task: str) -> dict[str, list[Any]]:
    """Evaluation episodes by agents: returns, with a mark where an episode fails."""
    agents = [(r["run"], r["seed"]) for r in data.summary if r["task"] == task]
    seeds = {run: sum(name == run for name, _ in agents) for run, _ in agents}
    head = [f"{run}, seed {seed}" if seeds[run] > 1 else run for run, seed in agents]
    cells: dict[int, dict[tuple[str, int], str]] = {}
    for row in data.episodes:
        if row["task"] == task:
            failed = " (fails)" if row["success"] is False else ""
            cell = f"{row['return']:.1f}{failed}"
            cells.setdefault(row["episode_seed"], {})[row["run"], row["seed"]] = cell
    rows = [
        [k, seed, *(by_agent.get(agent, "") for agent in agents)]
        for k, (seed, by_agent) in enumerate(cells.items())
    ]
    return {"head": ["episode", "its seed", *head], "rows": rows}


def _demonstrated(data: Data) -> dict[tuple[str, str], list[list[Any]]]:
    """The episodes of each set of demonstrations."""
    tables: dict[tuple[str, str], list[list[Any]]] = {}
    succeed = any(row["success"] is not None for row in data.demo_episodes)
    outcome = {True: "yes", False: "no", None: "unknown"}
    for r in data.demo_episodes:
        seed, length = ("" if r[key] is None else r[key] for key in ("seed", "length"))
        success = [outcome[r["success"]]] if succeed else []
        row = [r["episode"], seed, _return(r["return"]), length, *success]
        tables.setdefault((r["task"], r["demos"]), []).append(row)
    return tables


def _gradients(data: Data) -> list[list[Any]]:
    """Each run's gradient norms; below those of a task the published ones."""
    rows: list[list[Any]] = []
    measured = ["measured"] if _norms_published(data) else []
    for task in data.tasks:
        for r in data.runs:
            if r["task"] == task:
                norms = [
                    _short(r[f"{name}_{of}"])
                    for name in ("grad_norm_all", "grad_norm")
                    for of in ("mean", "max")
                ]
                rows.append([task, r["run"], *norms, *measured])
        for name, mean, largest, source in published.gradient_norms(task):
            known = ("n/a" if x is None else f"{x:g}" for x in (mean, largest))
            rows.append([task, f"{name}, published", *known, "", "", source])
    return rows


def _norms_published(data: Data) -> bool:
    """Tell whether gradient norms were published on one of its tasks."""
    return any(task in published.with_gradient_norms() for task in data.tasks)


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


def _score(row: Row) -> str:
    """The row's score as text, with its name unless it is a return."""
    successes = find(row["task"]).measure == "success"
    return f"success {_percent(row['success'])}" if successes else f"{row['return_mean']:.1f}"


def _return(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def _range(row: Row) -> str:
    if row["return_min"] is None:
        return "unknown"
    return f"{row['return_min']:.1f} to {row['return_max']:.1f}"


def _success_interval(row: Row) -> str:
    if row["success"] is None:
        return "n/a"
    return f"{_percent(row['success_low'])} to {_percent(row['success_high'])}"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f} %"


def _short(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
