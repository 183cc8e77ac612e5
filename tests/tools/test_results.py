"""Results that accumulate: tables of what is finished, and the page made of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from support.project import CHECKOUT, Project

from cdred.manifest import hash_tree
from cdred.tools import results

CDRED = "artifacts/agents/cartpole-balance/cdred/seed_0"


@pytest.fixture(scope="module")
def made(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = finished.copy(tmp_path_factory.mktemp("results") / "project")
    (project.root / "docs").mkdir()
    project.run("cdred", "results")
    return project


def test_of_nothing_there_is_no_table(project: Project) -> None:
    done = project.attempt("cdred", "results")
    assert done.returncode == 2
    assert done.stderr == (
        "cdred: experiment 'toy': no evaluated agent is up to date; run it first\n"
    )


def test_tables_are_the_reports_and_the_page_is_made_of_them(made: Project) -> None:
    entered = made.root / "results/toy"
    for name in ("summary", "runs", "curves", "demos", "published"):
        report = (made.root / f"reports/toy/{name}.csv").read_bytes()
        assert (entered / f"{name}.csv").read_bytes() == report
    assert not (entered / "aggregates.csv").exists()  # of one seed
    provenance = json.loads((entered / "manifest.json").read_text())
    own = json.loads((made.root / CDRED / "manifest.json").read_text())
    assert provenance["artifacts"][CDRED]["digest"] == own["digest"]
    (entered / "words.md").write_text("Nothing is learned here.\n")
    (entered.parent / "words.md").write_text("Of all that follows.\n")
    page = made.root / "docs/results.md"
    page.unlink()
    made.run("cdred", "results", "--page")
    text = page.read_text()
    commit, machine = provenance["commit"], f"{own['machine']} ({own['device']})"
    costs = made.run("cdred", "cost").splitlines()
    took = dict(line.split()[:2] for line in costs if line.startswith("artifacts/"))
    seconds = {path: one["seconds"] for path, one in provenance["artifacts"].items()}
    assert seconds.keys() <= took.keys() and sum(seconds.values()) > 0
    for path, one in seconds.items():
        hours, minutes, rest = map(int, took[path].split(":"))
        assert one == 3600 * hours + 60 * minutes + rest
    clock = f"0:{sum(seconds.values()) // 60:02}:{sum(seconds.values()) % 60:02}"
    origin = f"Trained at commit {commit}, on {machine}; it took {clock}, one job after another."
    assert f"## toy\n\n{origin}\n\nNothing" in text
    assert "Nothing is learned here.\n\n| task | run |" in text
    assert "Of all that follows.\n\n## toy" in text
    lines = [line for line in text.splitlines() if line.startswith("| cartpole-balance")]
    rows = [line.split(" | ")[:3] for line in lines]
    for name in ("learning_curves", "episodes"):
        drawn = (entered / f"{name}--cartpole-balance.svg").read_bytes()
        assert drawn == (made.root / f"reports/toy/{name}--cartpole-balance.svg").read_bytes()
        assert f"](../results/toy/{name}--cartpole-balance.svg)" in text
    assert rows == [["| cartpole-balance", run, "1"] for run in ("expert", "cdred", "bc")]


def test_what_is_not_finished_is_left_out_and_nothing_entered_is_lost(
    made: Project, tmp_path: Path
) -> None:
    project = made.copy(tmp_path / "project")
    before = hash_tree(project.root / "results")
    shutil.rmtree(project.root / "artifacts/evaluations/cartpole-balance/cdred")
    done = project.attempt("cdred", "results")
    assert done.returncode == 2
    assert done.stderr == (
        "cdred: results/toy: would lose 1 agents that are not up to date and evaluated here: "
        f"{CDRED}; run the experiment, or drop them by --force\n"
    )
    assert hash_tree(project.root / "results") == before
    project.run("cdred", "results", "--force")
    runs = [line.split(",")[1] for line in (project.root / "results/toy/runs.csv").open()]
    assert runs == ["run", "expert", "bc"]


def test_what_is_damaged_is_refused(made: Project, tmp_path: Path) -> None:
    project = made.copy(tmp_path / "project")
    before = hash_tree(project.root / "results")
    evaluation = project.root / "artifacts/evaluations/cartpole-balance/cdred/seed_0"
    text = (evaluation / "evaluation.json").read_text()
    (evaluation / "evaluation.json").write_text(text.replace('"return": ', '"return": 9'))
    done = project.attempt("cdred", "results")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "evaluation.json" in done.stderr
    assert hash_tree(project.root / "results") == before
    (evaluation / "evaluation.json").write_text(text)
    (project.root / "results/toy/manifest.json").write_text("<<<<<<< HEAD")
    done = project.attempt("cdred", "results")
    assert (done.returncode, done.stderr) == (
        2,
        "cdred: results/toy/manifest.json: damaged; take it from git again, or remove it\n",
    )


def test_a_run_may_be_named_like_a_number(tmp_path: Path) -> None:
    folder = tmp_path / "results/few_demonstrations"
    shutil.copytree(CHECKOUT / "results/few_demonstrations", folder)
    for file in folder.glob("*.csv"):
        text = file.read_text().replace(",cdred-3,", ",3,").replace(",red-3,", ",1e5,")
        file.write_text(text)
    results.redraw(tmp_path)
    drawn = (folder / "learning_curves--cup-catch.svg").read_text()
    assert ">1e5</text>" in drawn


def test_the_committed_curves_are_those_of_the_committed_tables(tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "results", tmp_path / "results")
    results.redraw(tmp_path)
    assert hash_tree(tmp_path / "results") == hash_tree(CHECKOUT / "results")


def test_many_runs_have_a_panel_for_each_question() -> None:
    drawn = (CHECKOUT / "results/ablations_small/learning_curves--cup-catch.svg").read_text()
    words = re.findall(r">([^<>]+)</text>", drawn)
    assert words.count("cdred") == 9  # in every panel
    for title in ("zeta", "alpha", "targets", "demos", "observation-space"):
        assert title in words
    assert [words.count(run) for run in ("zeta-0_5", "zeta-0_9", "targets-2")] == [1, 1, 1]


def test_the_committed_page_is_that_of_the_committed_tables() -> None:
    page = (CHECKOUT / results.PAGE).read_text(encoding="utf-8")
    assert page == results.page(CHECKOUT)
