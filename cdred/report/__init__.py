"""The report of an experiment: tidy tables, figures and pages, from finished artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdred.report.experiment import Experiment


def write(experiment: Experiment, out: Path) -> None:
    """Write the experiment's tables as CSV and LaTeX, figures as SVG, report.md, report.html, and
    of several tasks a page each."""
    from cdred.report import catalogue, collect, figures, latex, metrics, page, rows, svg

    data = collect.collect(experiment)
    rows.write(data, out)
    latex.write(data, out)
    metrics.write(data, out)
    drawn = figures.make(data)
    for panel in drawn.panels:
        (out / panel.file).write_text(panel.svg + "\n", encoding="utf-8")
    page.write(experiment, data, drawn, out)
    for file in (out / item.file for item in catalogue.files(experiment)):
        if file.suffix == ".svg" and not file.exists():  # Snakemake counts on it
            file.write_text(svg.nothing(file.stem).svg + "\n", encoding="utf-8")
