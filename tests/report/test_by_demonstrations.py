"""The final score against the number of demonstrations, where runs differ in it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.made_reports import RETURNS, make, read_csv, write_results
from support.project import CHECKOUT

from cdred import config
from cdred.plan import Job, Plan, overlays
from cdred.plan.description import describe

ONE = {"demo_episodes": 1}
FIGURE = "demonstrations--cartpole-balance.svg"


def write(job: Job, directory: Path) -> None:
    """Whoever has one demonstration has a tenth of the return."""
    write_results(job, directory)
    if job.stage == "evaluate" and job.entry.endswith("-1"):
        found = json.loads((directory / "evaluation.json").read_text())
        for episode in found["episodes"]:
            episode["return"] /= 10
        (directory / "evaluation.json").write_text(json.dumps(found))


def test_runs_that_differ_in_their_demonstrations_alone_make_a_line(tmp_path: Path) -> None:
    # Of `cdred-x` something else differs, so it is in no line.
    other = {"cdred-1": ONE, "bc-1": ONE, "cdred-x": ONE | {"zeta": 0.5}}
    _, out = make(tmp_path / "project", write, variations=other)
    drawn = ElementTree.fromstring((out / FIGURE).read_text())
    words = {e.text for e in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"demonstrations", "return", "1", "2", "expert", "CDRED", "BC"} <= words
    assert "cdred-x" not in words
    label = drawn.get("aria-label") or ""
    assert label.endswith("CDRED 1: 86, 2: 860; BC 1: 15, 2: 150.")
    shapes = [e.get("class") for e in drawn.iter() if e.get("class")]
    assert {"line-1", "band-1", "line-2", "band-2"} <= set(shapes)
    rows = {row["run"]: row for row in read_csv(out / "runs.csv")}
    assert [rows[name]["demo_episodes"] for name in ("expert", "cdred", "cdred-1")] == [
        "",
        "2",
        "1",
    ]
    assert (rows["cdred-1"]["alike"], rows["cdred-x"]["alike"]) == ("cdred", "cdred-x")
    for page in ("report.md", "report.html"):
        assert "How few demonstrations are enough" in (out / page).read_text()
    assert float(rows["cdred-1"]["return_mean"]) == pytest.approx(sum(RETURNS["cdred"]) / 20)


def test_lines_of_one_method_have_the_names_of_their_runs(tmp_path: Path) -> None:
    half = {"zeta": 0.5}
    other = {"cdred-1": ONE, "cdred-half": half, "cdred-half-1": ONE | half}
    _, out = make(tmp_path / "project", write, variations=other)
    assert "cdred 1: 86, 2: 860; cdred-half 1: 86, 2: 860." in (out / FIGURE).read_text()


def test_runs_on_other_demonstrations_are_in_no_line_with_them(tmp_path: Path) -> None:
    """Of another kind, not of another number alone."""
    data, _ = overlays.resolve(CHECKOUT / "config/toy.yaml", CHECKOUT)
    (tmp_path / "cdred").symlink_to(CHECKOUT / "cdred")
    bc = data["runs"]["bc"]
    data["demos"]["more"] = data["demos"]["expert-2"] | {"episodes": 9}
    data["demos"]["better"] = data["demos"]["expert-2"] | {"episodes": 1, "min_return": 50}
    data["runs"] |= {name: bc | {"demos": name} for name in ("more", "better")}
    data["experiment"]["runs"] = ["bc", "more", "better"]
    entries = describe(Plan(config.validate(data, {}, "test"), tmp_path)).entries
    assert [entries[name].alike for name in ("bc", "more", "better")] == ["bc", "bc", "better"]


def test_where_all_have_the_same_number_there_is_none(single: tuple[Plan, Path]) -> None:
    assert not (single[1] / FIGURE).exists()
    text = (single[1] / "report.md").read_text()
    assert "How few demonstrations" not in text
    assert "cdred use config/few_demonstrations.yaml" in text.split("## What is not here")[1]
