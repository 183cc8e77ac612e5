"""The page of the report: the same text as Markdown and as one self-contained HTML file."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdred.plan import Job, Plan
    from cdred.report.tables import Data

GOAL = 0.9  # of the expert's return: what counts as having imitated it

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8886; text-align: left; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
code { font-size: .85em; }
"""


def write(plan: Plan, job: Job, data: Data, out: Path) -> None:
    from markdown_it import MarkdownIt

    text = markdown(plan, job, data)
    (out / "report.md").write_text(text, encoding="utf-8")
    figure = base64.b64encode((out / "learning_curves.svg").read_bytes()).decode()
    body = MarkdownIt("commonmark").enable("table").render(text)
    body = body.replace("learning_curves.svg", f"data:image/svg+xml;base64,{figure}", 1)
    title = html.escape(plan.config.experiment.name)
    (out / "report.html").write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cdred: {title}</title><style>{STYLE}</style>\n{body}</html>\n",
        encoding="utf-8",
    )


def markdown(plan: Plan, job: Job, data: Data) -> str:
    e = plan.config.experiment
    parts = [
        f"# {e.name}",
        "\n".join(f"- {line}" for line in _verdicts(data)),
        "## Final returns",
        "The policy after the last step, never the best of several evaluations. The range is over "
        "the episodes of one agent. `acts by` is how it acts in them: by planning (MPPI), or by "
        "the policy's mean or its samples. `share` is of the expert's return.",
        _table(
            ["task", "run", "method", "acts by", "seed", "episodes", "return", "range", "share"],
            [
                [
                    r["task"], r["run"], r["method"], _acting(plan, r["run"]), r["seed"],
                    r["episodes"], f"{r['return_mean']:.1f}", _range(r),
                    _percent(r["expert_share"]),
                ]
                for r in data.summary
            ],
        ),
        "## Demonstrations",
        _table(
            ["task", "demonstrations", "of expert", "episodes", "return", "range"],
            [
                [
                    r["task"], r["demos"], r["expert"], r["episodes"], f"{r['return_mean']:.1f}",
                    _range(r),
                ]
                for r in data.demos
            ],
        ),
        "## Learning curves",
        "Mean return of a few evaluation episodes during training, over agent steps; a band is the "
        "range over seeds. BC does not interact: its final return is a line.",
        "![Learning curves](learning_curves.svg)",
        "## What produced this",
        "Every artifact below carries a `manifest.json` with its parameters, the hash of its code, "
        "the hash of each of its files, and the manifests of its inputs. The digest is derived "
        "from parameters, code and inputs; `cdred status` compares it.",
        _table(
            ["artifact", "digest", "command"],
            [[f"`{j.path}`", f"`{j.digest[:12]}`", f"`{_short(j.command)}`"] for j in job.inputs],
        ),
        "Tables: `summary.csv`, `episodes.csv`, `curves.csv`, `demos.csv` beside this page.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _verdicts(data: Data) -> list[str]:
    """One sentence per imitating agent: did it reach the goal."""
    lines = []
    for r in data.summary:
        if r["method"] == "expert":
            continue
        name = f"**{r['run']}** on {r['task']}, seed {r['seed']}"
        if r["expert_share"] is None:
            lines.append(f"{name}: its expert's return is 0; nothing to compare with.")
            continue
        verdict = "reaches" if r["expert_share"] >= GOAL else "does not reach"
        lines.append(
            f"{name}: mean return {r['return_mean']:.1f} over {r['episodes']} episodes, "
            f"{_percent(r['expert_share'])} of its expert's: {verdict} {100 * GOAL:.0f} %."
        )
    return lines


def _acting(plan: Plan, name: str) -> str:
    entry = plan.config.runs.get(name)
    settings = entry.settings if entry else plan.config.experts[name].settings
    if entry and entry.method == "bc":
        return "mean"
    return "MPPI" if settings.mpc else settings.eval_policy


def _range(row: dict[str, Any]) -> str:
    return f"{row['return_min']:.1f} to {row['return_max']:.1f}"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f} %"


def _short(command: str) -> str:
    return command.split(" --log ")[0]


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([str(c) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
