"""The page of the report, from one text: report.md, and report.html, which needs nothing else."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.envs.tasks import TASKS
from cdred.report.figures import Figures, colours
from cdred.report.runs import acting
from cdred.report.svg import Panel
from cdred.report.tables import GOAL, TABLES, Data, Row

if TYPE_CHECKING:
    from jinja2 import Environment

    from cdred.plan import Job, Plan

NUMBER = re.compile(r"-?[\d.,]+( %| MB)?|n/a")


def write(plan: Plan, job: Job, data: Data, drawn: Figures, out: Path) -> None:
    context = _context(plan, job, data, drawn)
    for name, parts in (("report.md", _MARKDOWN), ("report.html", _HTML)):
        text = _environment().get_template(f"{name}.j2").render(context | parts)
        text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
        (out / name).write_text(text, encoding="utf-8")


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("cdred.report"), autoescape=select_autoescape(["html.j2"]),
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    render = _to_html()
    environment.filters["markdown"] = lambda text: Markup(render(str(text)))
    return environment


def _to_html() -> Callable[[str], str]:
    from markdown_it import MarkdownIt

    def opened(*_: Any) -> str:
        return '<div class="scroll" tabindex="0"><table>\n'

    def closed(*_: Any) -> str:
        return "</table></div>\n"

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.add_render_rule("table_open", lambda self, *_: opened())
    parser.add_render_rule("table_close", lambda self, *_: closed())
    return lambda text: parser.render(re.sub(r"\n{3,}", "\n\n", text)).strip()


# ---- what is said -------------------------------------------------------------------------------


def _context(plan: Plan, job: Job, data: Data, drawn: Figures) -> dict[str, Any]:
    succeeds = any(run["success"] is not None for run in data.runs)
    return {
        "name": plan.config.experiment.name,
        "path": job.path.as_posix(),
        "colours": colours(data),
        "verdicts": _verdicts(data),
        "answer": _answer(data),
        "drawn": drawn,
        "several_seeds": any(run["seeds"] > 1 for run in data.runs),
        "one_seed": any(run["seeds"] == 1 for run in data.runs),
        "best_kept": [
            r["run"]
            for r in data.runs
            if r["method"] == "expert" and plan.config.experts[r["run"]].settings.keep == "best"
        ],
        "success_head": ["success"] if succeeds else [],
        "returns_rows": [
            [
                r["task"], r["run"], r["method"], r["acts_by"], r["seeds"], r["episodes"],
                f"{r['return_mean']:.1f}", f"{r['interval_low']:.1f} to {r['interval_high']:.1f}",
                _range(r), _percent(r["expert_share"]),
                *([_percent(r["success"])] if succeeds else []),
            ]
            for r in data.runs
        ],
        "seed_rows": [
            [
                r["task"], r["run"], r["method"], acting(plan, r["run"]), r["seed"], r["episodes"],
                f"{r['return_mean']:.1f}", _range(r), _percent(r["expert_share"]),
            ]
            for r in data.summary
        ],
        "aggregate_rows": [
            [
                r["run"], r["tasks"], r["seeds"], f"{r['iqm']:.3f}",
                f"{r['iqm_low']:.3f} to {r['iqm_high']:.3f}", f"{r['mean']:.3f}",
            ]
            for r in data.aggregates
        ],
        "improvement_rows": [
            [
                r["run"], r["over"], f"{r['probability']:.2f}",
                f"{r['low']:.2f} to {r['high']:.2f}",
            ]
            for r in data.improvements
        ],
        "demo_rows": [
            [
                r["task"], r["demos"], r["expert"], r["episodes"], f"{r['return_mean']:.1f}",
                _range(r),
            ]
            for r in data.demos
        ],
        "film_rows": _films(data),
        "gradient_rows": [
            [r["task"], r["run"], _short(r["grad_norm_mean"]), _short(r["grad_norm_max"])]
            for r in data.runs
        ],
        "cost_rows": [
            [
                r["task"], r["run"],
                *(f"{r[key]:,}" for key in (
                    "agent_steps", "environment_steps", "updates", "parameters",
                )),
                f"{r['checkpoint_bytes'] / 1e6:.2f} MB",
            ]
            for r in data.runs
        ],
        "tree": _tree(job.inputs),
        "lineage_rows": [
            [f"`{r['artifact']}`", f"`{r['digest'][:12]}`", f"`{r['command']}`"]
            for r in data.lineage
        ],
        "csv_files": ", ".join(f"`{name}.csv`" for name in TABLES),
    }  # fmt: skip


def _verdicts(data: Data) -> list[str]:
    """One sentence per imitating agent: did it reach the goal."""
    lines = []
    for r in data.summary:
        if r["method"] == "expert":
            continue
        what = TASKS[r["task"]].measure
        name = f"**{r['run']}** on {r['task']}, seed {r['seed']}"
        if r["expert_share"] is None:
            lines.append(f"{name}: its expert has 0 {what}; nothing to compare with.")
            continue
        verdict = "reaches" if r["expert_share"] >= GOAL else "does not reach"
        reached = _score(r) if what == "success" else f"mean return {_score(r)}"
        step = r["goal_step"]
        first = f"; its learning curve first did at step {step:,}" if step else ""
        lines.append(
            f"{name}: {reached} over {r['episodes']} episodes, "
            f"{_percent(r['expert_share'])} of its expert's: {verdict} {100 * GOAL:.0f} %"
            f"{first}."
        )
    return lines


def _answer(data: Data) -> dict[str, list[Any]]:
    """The runs by the tasks."""
    found = {(r["run"], r["task"]): r for r in data.runs}

    def cell(run: str, task: str) -> str:
        r = found.get((run, task))
        return f"{_score(r)} ({_percent(r['expert_share'])})" if r else ""

    names = dict.fromkeys(r["run"] for r in data.runs)
    rows = [[run, *(cell(run, task) for task in data.tasks)] for run in names]
    return {"head": ["run", *data.tasks], "rows": rows}


def _films(data: Data) -> dict[str, list[Row]]:
    """By task, each run's film of its lowest seed that has one."""
    found: dict[str, dict[str, Row]] = {}
    for row in sorted(data.films, key=lambda row: row["seed"]):
        found.setdefault(row["task"], {}).setdefault(row["run"], row)
    order = [row["run"] for row in data.runs]
    return {
        task: sorted(found[task].values(), key=lambda row: order.index(row["run"]))
        for task in data.tasks
        if task in found
    }


def _tree(jobs: Iterable[Job]) -> list[str]:
    """The artifacts as a nested list, each below what it was made from, evaluations beside it."""
    jobs = list(jobs)
    made = {"expert": "expert", "demos": "demonstrations", "imitate": "agent"}

    def below(parent: Job | None, depth: int) -> list[str]:
        lines = []
        for job in jobs:
            if job.stage == "evaluate" or parent is not (job.inputs[0] if job.inputs else None):
                continue
            name = f"{made[job.stage]} **{job.entry}**"
            name += f", seed {job.seed}" if job.stage == "imitate" else ""
            name += f" on {job.task}" if parent is None else ""
            line = f"{'  ' * depth}- {name} `{job.digest[:12]}`"
            for other in jobs:
                if other.stage == "evaluate" and other.inputs[0] is job:
                    line += f" → evaluation `{other.digest[:12]}`"
            lines += [line, *below(job, depth + 1)]
        return lines

    return below(None, 0)


def _score(row: Row) -> str:
    """What the row's task measures; a return is what is meant where nothing is said."""
    successes = TASKS[row["task"]].measure == "success"
    return f"success {_percent(row['success'])}" if successes else f"{row['return_mean']:.1f}"


def _range(row: Row) -> str:
    return f"{row['return_min']:.1f} to {row['return_max']:.1f}"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f} %"


def _short(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


# ---- how it is shown: the two sets of parts -----------------------------------------------------


def _table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    numbers = [all(NUMBER.fullmatch(row[k]) for row in cells) for k in range(len(head))]
    lines = [head, ["---:" if number else "---" for number in numbers], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _film_table(films: list[Row]) -> str:
    return _table(
        ["run", "seed", "return", "film"],
        [[f["run"], f["seed"], f"{f['return']:.1f}", f"`{f['path']}`"] for f in films],
    )


def _grid(cells: Iterable[str], kind: str = "") -> str:
    """A block without empty lines, which would end it in Markdown."""
    return "\n".join([f'<div class="{f"grid {kind}".strip()}">', *cells, "</div>"])


def _inlined(panels: Iterable[Panel]) -> str:
    cells = [f"<figure>{panel.svg}</figure>" for panel in panels]
    return _grid(cells, {1: "one", 4: "four"}.get(len(cells), ""))


def _embedded(films: list[Row]) -> str:
    def cell(film: Row) -> str:
        content = base64.b64encode(film["file"].read_bytes()).decode()
        label = html.escape(f"Film of {film['run']} on {film['task']}, seed {film['seed']}")
        return (
            f'<figure class="run-{film["run"]}"><video autoplay loop muted playsinline controls '
            f'aria-label="{label}" src="data:video/mp4;base64,{content}"></video>'
            f"<figcaption><strong>{film['run']}</strong>, seed {film['seed']}: "
            f"return {film['return']:.1f}</figcaption></figure>"
        )

    return _grid(map(cell, films), "films")


_MARKDOWN: dict[str, Any] = {
    "table": _table,
    "films": _film_table,
    "figures": lambda panels: "\n".join(f"![{p.label}]({p.file})" for p in panels),
    "details": lambda summary, caller: f"### {summary}\n\n{caller()}",
}
_HTML: dict[str, Any] = {
    "table": _table,
    "films": _embedded,
    "figures": _inlined,
    "details": lambda summary, caller: (
        f"<details><summary>{summary}</summary>\n\n{caller()}\n\n</details>\n"
    ),
}
