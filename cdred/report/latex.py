"""The report's tables for a paper, as LaTeX (booktabs)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.envs.tasks import TASKS

if TYPE_CHECKING:
    from cdred.report.tables import Data, Row

MISSING = "n/a"


def write(data: Data, out: Path) -> None:
    """results.tex and published.tex; aggregates.tex, without rows where nothing is compared."""
    for name, text in {
        "results": results(data), "aggregates": aggregates(data), "published": published(data),
    }.items():  # fmt: skip
        (out / f"{name}.tex").write_text(text, encoding="utf-8")


def results(data: Data) -> str:
    """The runs by the tasks: mean return, or success where the suite measures it, with its
    95 % interval."""

    def cell(r: Row) -> str:
        if TASKS[r["task"]].measure == "success":
            if r["success"] is None:
                return MISSING
            low, high = (100 * r[key] for key in ("success_low", "success_high"))
            return f"{_value(r['success'], 'success')} [{low:.1f}, {high:.1f}]"
        return f"{r['return_mean']:.1f} [{r['interval_low']:.1f}, {r['interval_high']:.1f}]"

    cells = {(r["run"], r["task"]): cell(r) for r in data.runs}
    names = dict.fromkeys(r["run"] for r in data.runs)
    rows = [[name, *(cells.get((name, task), "") for task in data.tasks)] for name in names]
    return _table(["run", *data.tasks], rows, "l" + "r" * len(data.tasks))


def aggregates(data: Data) -> str:
    """Over tasks and seeds, as shares of the expert's score."""
    rows = [
        [r["run"], r["tasks"], r["seeds"], f"{r['iqm']:.3f} [{r['iqm_low']:.3f}, "
         f"{r['iqm_high']:.3f}]", f"{r['mean']:.3f}"]
        for r in data.aggregates
    ]  # fmt: skip
    return _table(["run", "tasks", "seeds", "IQM [95 % interval]", "mean"], rows, "lrrrr")


def published(data: Data) -> str:
    """What was measured beside what was published, with its source."""
    rows = [
        [r["task"], r["run"] or MISSING, r["method"], r["measure"],
         _value(r["measured"], r["measure"]), _value(r["published"], r["measure"]), r["source"]]
        for r in data.published
    ]  # fmt: skip
    head = ["task", "run", "method", "measure", "measured", "published", "source"]
    return _table(head, rows, "llllrrl")


def _value(value: float | None, measure: str) -> str:
    if value is None:
        return MISSING
    return f"{100 * value:.1f} %" if measure == "success" else f"{value:.1f}"


def _table(head: list[str], rows: list[list[Any]], columns: str) -> str:
    import pandas as pd

    frame = pd.DataFrame([[_escaped(cell) for cell in row] for row in rows], columns=head)
    frame.columns = frame.columns.map(_escaped)
    return frame.style.hide(axis="index").to_latex(hrules=True, column_format=columns)


def _escaped(cell: Any) -> str:
    return str(cell).replace(" %", r"\,\%").replace("_", r"\_")
