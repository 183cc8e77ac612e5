"""Text that others wrote into results: refused unless it is what it must be, and never markup."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.made_reports import make, read_csv, write_results

from cdred import report
from cdred.errors import CdredError
from cdred.plan import Job, Plan
from cdred.plan.description import describe
from cdred.report import collect, latex, page, rows
from cdred.report.markup import code, plain

EVIL = '<script>alert(1)</script> ![x](http://x) **b** _i_ `c` | \\ $x$ &amp; "q" ~~s~~\n# h'
TASK = "cartpole-balance"
SCRIPT = (Path(page.__file__).parent / "templates/report.js").read_text()


def test_text_is_shown_as_it_reads() -> None:
    from markdown_it import MarkdownIt

    for render in (page._to_html(), MarkdownIt("commonmark", {"html": True}).render):
        shown = render(plain(EVIL)).strip().removeprefix("<p>").removesuffix("</p>")
        assert "<" not in shown
        table = page._table([EVIL], [[EVIL]])
        assert len(str(table).splitlines()) == 3
    tags = re.findall(r"<[^>]*>", page._to_html()(str(page._table([EVIL, "b"], [[EVIL, 1]]))))
    assert {tag.split()[0].strip("<>/") for tag in tags} == {
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert (
        str(plain("cup-catch my_run 90.5 % (fails) 1,234"))
        == "cup-catch my_run 90.5 % (fails) 1,234"
    )
    assert str(code("a`b|c\nd")) == "`a b c d`"


def test_nothing_that_is_filled_in_is_markup(single: tuple[Plan, Path], tmp_path: Path) -> None:
    experiment = replace(describe(single[0]), name=EVIL, path=EVIL, logs=EVIL)
    report.write(experiment, tmp_path)
    for file in tmp_path.glob("report.*"):
        text = file.read_text()
        assert "alert(1)" in text
        assert "](http" not in text and "**b**" not in text, file
        # Of scripts the page has its own, which alone its policy lets run.
        scripts = re.findall(r"<script.*?</script>", text, re.S)
        own = [f"<script>{SCRIPT}</script>"] if file.suffix == ".html" else []
        assert scripts == own
        digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
        assert (f"script-src 'sha256-{digest}'" in text) == bool(own)


def test_latex_and_csv_hold_text_as_it_is(tmp_path: Path) -> None:
    assert latex._escaped("a_b 5 % $ & # {x} \\y ~^") == (
        r"a\_b 5\,\% \$ \& \# \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}"
    )
    values = ["=cmd()", "+1", "-x", "@x", "\tx", "x", -1.5, None]
    rows.write_table(tmp_path / "a.csv", [{"x": value} for value in values])
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = [row["x"] for row in csv.DictReader(file)]
    assert cells == ["'=cmd()", "'+1", "'-x", "'@x", "'\tx", "x", "-1.5", ""]


def collected(single: tuple[Plan, Path], path: str, change: Callable[[str], str]) -> str:
    """The error of a report one of whose files was changed; the file is as before."""
    plan = single[0]
    file = plan.root / "artifacts" / path
    text = file.read_text()
    try:
        file.write_text(change(text))
        with pytest.raises(CdredError) as caught:
            collect.collect(describe(plan))
        return str(caught.value)
    finally:
        file.write_text(text)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "<script>"}, "no method is called '<script>'"),
        ({"method": "antigravity:x"}, "import antigravity first, if you trust it"),
        ({"method": "bc"}, "method: bc, not cdred"),
        ({"method": None}, "method: "),
        ({"task": "cup-catch"}, "task: cup-catch, not cartpole-balance"),
        ({"return_mean": "1"}, "return_mean: must be a valid number"),
        ({"filmed": 99}, "filmed: 99, of "),
        ({"filmed": -1}, "filmed: must be"),
        ({"episodes": None}, "episodes: must be a valid list"),
        ({"episodes": []}, "episodes: List should have at least 1 item"),
        ({"episodes": [None]}, "episodes.0: "),
        *(
            ({"episodes": [{"return": 1.0, "success_at_end": None, "success_once": None, "length": 5, "seed": 0} | one]}, f"episodes.0.{key}")
            for one in ({"seed": "<b>"}, {"seed": -1}, {"seed": None}, {"return": "=cmd"}, {"return": None},
                        {"return": True}, {"success_at_end": "yes"}, {"success_once": 1}, {"length": 0}, {"length": 1.5})
            for key in one
        ),
    ],
)  # fmt: skip
def test_an_evaluation_is_what_it_must_be(
    single: tuple[Plan, Path], changes: dict[str, Any], reason: str
) -> None:
    path = f"evaluations/{TASK}/cdred/seed_0/evaluation.json"
    error = collected(single, path, lambda text: json.dumps(json.loads(text) | changes))
    assert reason in error and "\n" not in error
    assert re.match(r".*/evaluation\.json: ", error)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("curve.csv", "5.0", "=cmd()", "curve.csv, row 1: return_mean: must be a finite number"),
        ("curve.csv", "5.0", "nan", "curve.csv, row 1: return_mean: must be a finite number"),
        ("curve.csv", "5.0", "", "curve.csv, row 1: return_mean: must be a finite number"),
        ("curve.csv", "100,", "1.5,", "curve.csv, row 1: step: must be a whole number"),
        ("curve.csv", "return_mean", "<b>", "curve.csv: not a table: its head is not one of names"),
        (
            "curve.csv",
            "return_mean",
            "step",
            "curve.csv: not a table: its head is not one of names",
        ),
        ("curve.csv", "return_mean", "mean", "curve.csv: has no column return_mean"),
        ("curve.csv", "5.0", "5.0,6", "curve.csv, row 1: 6 cells below 5 names"),
        ("curve.csv", "5.0", '"5.0', "curve.csv: not a table: "),
        ("curve.csv", "5.0", "9" * 400, "curve.csv, row 1: return_mean: must be a finite number"),
        ("metrics.csv", "\n100,10", "\n100,20", "row 2: update: not above that of the row before"),
        ("metrics.csv", "grad_norm,", "norm,", "metrics.csv: has no column grad_norm"),
    ],
)
def test_a_table_of_numbers_is_one(
    single: tuple[Plan, Path], name: str, old: str, new: str, reason: str
) -> None:
    path = f"agents/{TASK}/cdred/seed_0/{name}"
    assert reason in collected(single, path, lambda text: text.replace(old, new, 1))


@pytest.mark.parametrize("content", ["", "episode\n0\n", "episode,return\n", "return\nx\n", "return,success_at_end\n1,yes\n", "return,seed\n1,<b>\n", "return,length\n1,-5\n"])  # fmt: skip
def test_a_list_of_demonstrations_is_one(single: tuple[Plan, Path], content: str) -> None:
    assert "episodes.csv" in collected(
        single, f"demos/{TASK}/expert-2/episodes.csv", lambda _: content
    )


@pytest.mark.parametrize(
    ("rewards", "reason"),
    [
        (np.zeros((2, 2)), "main_data.hdf5: cannot be read as a Minari dataset"),
        (np.array([b"<b>"]), "rewards: not a number for each step"),
    ],
)
def test_rewards_of_demonstrations_are_numbers(tmp_path: Path, rewards: Any, reason: str) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "demos":
            with h5py.File(directory / "data/main_data.hdf5", "w") as data:
                data["episode_0/rewards"] = rewards

    with pytest.raises(CdredError, match=re.escape(reason)):
        make(tmp_path / "project", write)


def test_seeds_of_a_run_hold_the_same_metrics() -> None:
    first = {"task": TASK, "run": "cdred", "seed": 3, "q_expert": 1.0}
    other = {"task": TASK, "run": "cdred", "seed": 1, "q_other": 1.0}
    with pytest.raises(CdredError, match="of seeds 3 and 1 one alone has q_expert"):
        collect._check_columns(rows.Data(diagnostics=[first, first, other]))


def test_returns_that_were_not_recorded_are_unknown(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "demos":
            (directory / "episodes.csv").write_text(
                "episode,return,success_at_end\n0,nan,\n1,nan,\n"
            )

    _, out = make(tmp_path / "project", write, recorded=True, seeds=[0, 1])
    text = (out / "report.md").read_text()
    assert "seed 0: the return of its demonstrations is unknown; nothing to compare with." in text
    assert f"| {TASK} | expert-2 | not available | 2 | unknown | unknown |" in text
    assert f"the demonstrations' score is unknown on {TASK}" in text
    for file in (*out.glob("*.md"), *out.glob("*.html"), *out.glob("*.csv"), *out.glob("*.tex")):
        assert not re.search(r"\bnan\b|has 0 return", file.read_text()), file
    (row,) = read_csv(out / "demos.csv")
    assert (row["return_mean"], row["return_min"]) == ("", "")
