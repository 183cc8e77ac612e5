"""The report's tables for a paper, as LaTeX (booktabs)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdred.envs.tasks import find
from cdred.report import published

if TYPE_CHECKING:
    from cdred.report.rows import Data, Row

MISSING = "n/a"
_SPECIAL = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def write(data: Data, out: Path) -> None:
    """Write results.tex, published.tex, and aggregates.tex, empty where nothing is compared."""
    for name, table in {
        "results": results, "aggregates": aggregates, "published": beside_published,
    }.items():  # fmt: skip
        (out / f"{name}.tex").write_text(table(data), encoding="utf-8")


def results(data: Data) -> str:
    """The runs by the tasks: mean return, or success where the suite measures it, with its
    95 % interval."""

    def cell(r: Row) -> str:
        if find(r["task"]).measure == "success":
            if r["success"] is None:
                return MISSING
            mean, low, high = (100 * r[f"success{end}"] for end in ("", "_low", "_high"))
            return f"{mean:.1f} % [{low:.1f}, {high:.1f}]"
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


def beside_published(data: Data) -> str:
    """The measured beside the published scores, with their source."""
    head = ["task", "run", "method", "measure", "measured", "published", "source"]
    return _table(head, published.in_text(data), "llllrrl")


def _table(head: list[str], rows: list[list[Any]], columns: str) -> str:
    import pandas as pd

    frame = pd.DataFrame([[_escaped(cell) for cell in row] for row in rows], columns=head)
    frame.columns = frame.columns.map(_escaped)
    return str(frame.style.hide(axis="index").to_latex(hrules=True, column_format=columns))


def _escaped(cell: Any) -> str:
    return str(cell).translate(_SPECIAL).replace(r" \%", r"\,\%")
