"""The report says by itself who reached the expert, and its tables are the raw results."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from conftest import Project

from cdred import manifest, report
from cdred.plan import Plan

RETURNS = {"expert": [900.0, 1000.0], "cdred": [800.0, 920.0], "bc": [0.0, 300.0]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """A report over results written by hand."""
    project = Project.create(tmp_path_factory.mktemp("report") / "project")
    plan = Plan.load(project.root)
    for job in plan.report.inputs:
        directory = plan.root / job.path
        directory.mkdir(parents=True)
        if job.stage == "evaluate":
            episodes = [
                {"return": value, "success": None, "length": 500, "seed": k}
                for k, value in enumerate(RETURNS[job.entry])
            ]
            found = {"method": job.entry, "task": job.task, "episodes": episodes}
            (directory / "evaluation.json").write_text(json.dumps(found))
        elif job.stage == "demos":
            (directory / "episodes.csv").write_text("episode,return\n0,940.0\n1,960.0\n")
        else:
            curve = "step,update,return_mean,return_min,return_max\n100,10,5.0,1.0,9.0\n"
            (directory / "curve.csv").write_text(curve)
    out = project.root / "out"
    out.mkdir()
    report.write(plan, plan.report, out)
    return plan, out


def test_the_page_says_who_reached_the_expert(made: tuple[Plan, Path]) -> None:
    text = (made[1] / "report.md").read_text()
    assert (
        "- **cdred** on cartpole-balance, seed 0: mean return 860.0 over 2 episodes, "
        "90.5 % of its expert's: reaches 90 %." in text
    )
    assert "150.0 over 2 episodes, 15.8 % of its expert's: does not reach 90 %." in text
    assert "| cartpole-balance | expert-2 | expert | 2 | 950.0 | 940.0 to 960.0 |" in text
    assert "| cdred | cdred | sample | 0 |" in text and "| bc | bc | mean | 0 |" in text
    for job in made[0].report.inputs:
        assert f"| `{job.path}` | `{job.digest[:12]}` |" in text


def test_tables_hold_the_raw_results(made: tuple[Plan, Path]) -> None:
    with (made[1] / "episodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["return"]) for r in rows if r["run"] == "bc"] == RETURNS["bc"]
    with (made[1] / "summary.csv").open() as file:
        summary = {row["run"]: row for row in csv.DictReader(file)}
    assert float(summary["cdred"]["expert_share"]) == pytest.approx(860 / 950)
    assert summary["bc"]["demos"] == "expert-2"
    with (made[1] / "curves.csv").open() as file:
        assert {row["run"] for row in csv.DictReader(file)} == {"expert", "cdred", "bc"}


def test_the_html_is_one_file_with_its_figure(made: tuple[Plan, Path]) -> None:
    page = (made[1] / "report.html").read_text()
    assert "<table>" in page and "data:image/svg+xml;base64," in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_the_same_results_give_the_same_bytes(made: tuple[Plan, Path], tmp_path: Path) -> None:
    report.write(made[0], made[0].report, tmp_path)
    assert manifest.hash_tree(tmp_path) == manifest.hash_tree(made[1])
