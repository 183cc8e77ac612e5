"""The report of an experiment: tidy tables, figures and a page, from finished artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdred.plan import Job, Plan


def write(plan: Plan, job: Job, out: Path) -> None:
    """Write the experiment's tables as CSV and LaTeX, figures as SVG, report.md, report.html."""
    from cdred.report import figures, page, tables

    data = tables.collect(plan, job)
    tables.write(data, out)
    (out / "results.tex").write_text(tables.latex(data), encoding="utf-8")
    drawn = figures.make(data)
    for panel in drawn.panels:
        (out / panel.file).write_text(panel.svg + "\n", encoding="utf-8")
    page.write(plan, job, data, drawn, out)
