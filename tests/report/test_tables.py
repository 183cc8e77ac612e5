"""The report says by itself who reached the expert, and its tables are the raw results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from support.made_reports import RETURNS, UPDATES, make, metrics, read_csv, write_results

from cdred.methods import EXPERT
from cdred.plan import Job, Plan

# ---- text and tables ----------------------------------------------------------------------------


def test_the_page_says_who_reached_the_expert(single: tuple[Plan, Path]) -> None:
    text = (single[1] / "report.md").read_text()
    assert (
        "- **cdred** on cartpole-balance, seed 0: mean return 860.0 over 2 episodes, "
        "90.5 % of its expert's: reaches 90 %; its learning curve first did at step 200." in text
    )
    assert "150.0 over 2 episodes, 15.8 % of its expert's: does not reach 90 %." in text
    assert "| cartpole-balance | expert-2 | expert | 2 | 950.0 | 940.0 to 960.0 |" in text
    assert "| cdred | cdred | sample | 0 |" in text and "| bc | bc | mean | 0 |" in text
    for job in single[0].report.inputs:
        assert f"| `{job.path}` | `{job.digest[:12]}` |" in text


def test_shares_are_the_demonstrations_where_no_expert_is_known(tmp_path: Path) -> None:
    _, out = make(tmp_path, recorded=True, seeds=[0, 1])
    text = (out / "report.md").read_text()
    assert "90.5 % of its demonstrations': reaches 90 %" in text
    assert "in\nbrackets, its share of the demonstrations'." in text
    assert "`share` is a share\nof the demonstrations': return" in text
    for file in (*out.glob("*.md"), *out.glob("*.html"), *out.glob("*.svg")):
        said = re.sub(r"&#39;|&#x27;|&apos;|\u2019", "'", file.read_text())
        assert not re.search(r"(its|the) expert's|share of the expert|0\.9 of the expert", said), (
            file
        )


def test_the_lineage_leads_from_the_expert_to_every_evaluation(single: tuple[Plan, Path]) -> None:
    short = {job.path.as_posix(): job.digest[:12] for job in single[0].report.inputs}
    agent, evaluation = (
        short[f"artifacts/{kind}/cartpole-balance/cdred/seed_0"]
        for kind in ("agents", "evaluations")
    )
    lines = (single[1] / "report.md").read_text().splitlines()
    at = [k for k, line in enumerate(lines) if line.lstrip().startswith("- ") and "`" in line]
    assert lines[at[0]].startswith("- expert **expert** on cartpole-balance `")
    assert lines[at[1]].startswith("  - demonstrations **expert-2** `")
    assert lines[at[2]] == f"    - agent **cdred**, seed 0 `{agent}` → evaluation `{evaluation}`"
    assert "cdred verify reports/toy" in " ".join(lines)


def test_show_prints_verdicts_and_returns(single: tuple[Plan, Path]) -> None:
    shown = (single[1] / "report.md").read_text().split("\n## Demonstrations")[0]
    assert "reaches 90 %" in shown and "## Final returns" in shown
    assert "<" not in shown and "![" not in shown  # it reads well in a terminal


def test_tables_hold_the_raw_results(single: tuple[Plan, Path]) -> None:
    rows = read_csv(single[1] / "episodes.csv")
    assert [float(r["return"]) for r in rows if r["run"] == "bc"] == RETURNS["bc"]
    assert {(r["seed"], r["episode_seed"]) for r in rows} == {("0", "70"), ("0", "71")}
    summary = {row["run"]: row for row in read_csv(single[1] / "summary.csv")}
    assert float(summary["cdred"]["expert_share"]) == pytest.approx(860 / 950)
    assert summary["bc"]["demos"] == "expert-2"
    assert (summary["cdred"]["goal_step"], summary["bc"]["goal_step"]) == ("200", "")
    assert {row["run"] for row in read_csv(single[1] / "curves.csv")} == {"expert", "cdred", "bc"}
    diagnostics = read_csv(single[1] / "diagnostics.csv")
    for run in ("expert", "cdred", "bc"):
        found = [
            {k: float(v) for k, v in r.items() if v and k not in ("task", "run", "seed")}
            for r in diagnostics
            if r["run"] == run
        ]
        assert found == metrics(EXPERT if run == "expert" else run, 0)


def test_a_run_is_summed_up_over_its_seeds(seeds: Path) -> None:
    rows = {(r["task"], r["run"]): r for r in read_csv(seeds / "runs.csv")}
    assert list(rows) == [
        (t, r) for t in ("cartpole-balance", "cup-catch") for r in ("expert", "cdred", "bc")
    ]
    cdred = rows["cup-catch", "cdred"]
    returns = [value + 10 * seed for seed in (3, 1) for value in RETURNS["cdred"]]
    assert (cdred["seeds"], cdred["episodes"]) == ("2", "4")
    assert float(cdred["return_mean"]) == pytest.approx(np.mean(returns))
    assert (float(cdred["return_min"]), float(cdred["return_max"])) == (810, 950)
    assert float(cdred["expert_share"]) == pytest.approx(np.mean(returns) / 950)
    # The mean over updates, not over rows: the last row has 3 of them.
    norms = np.repeat([1.0, 2.0, 3.0], np.diff([0, *UPDATES]))
    assert float(cdred["grad_norm_mean"]) == pytest.approx(norms.mean() + 2)
    assert float(cdred["grad_norm_max"]) == 33
    assert float(cdred["grad_norm_all_mean"]) == pytest.approx(2 * (norms.mean() + 2))
    # Counted: 520 agent steps with an action repeat of 2, and none for behaviour cloning.
    costs = ("agent_steps", "environment_steps", "updates", "parameters")
    assert [int(cdred[name]) for name in costs] == [520, 1040, 23, 17]
    assert [int(rows["cup-catch", "bc"][name]) for name in costs] == [0, 0, 23, 17]


def test_runs_are_compared_over_tasks_and_seeds(seeds: Path, single: tuple[Any, ...]) -> None:
    """RETURNS + 10 x seed, seeds 3 and 1, against an expert of 950 on both tasks."""
    rows = {r["run"]: r for r in read_csv(seeds / "aggregates.csv")}
    assert list(rows) == ["cdred", "bc"]
    shares = [(np.mean(RETURNS["cdred"]) + 10 * seed) / 950 for seed in (3, 1)] * 2
    cdred = rows["cdred"]
    assert (cdred["tasks"], cdred["seeds"]) == ("2", "2")
    assert float(cdred["iqm"]) == pytest.approx(scipy.stats.trim_mean(shares, 0.25))
    assert float(cdred["mean"]) == pytest.approx(np.mean(shares))
    assert float(cdred["iqm_low"]) == pytest.approx(min(shares))
    assert float(cdred["iqm_high"]) == pytest.approx(max(shares))
    (pair,) = read_csv(seeds / "improvements.csv")
    assert (pair["run"], pair["over"], float(pair["probability"])) == ("cdred", "bc", 1)
    assert "### Over tasks and seeds" in (seeds / "report.md").read_text()
    assert "### Over tasks and seeds" not in (single[1] / "report.md").read_text()
    assert read_csv(single[1] / "aggregates.csv") == []  # of one seed nothing is said


def test_the_latex_table_is_the_runs_by_the_tasks(seeds: Path) -> None:
    rows = {(r["run"], r["task"]): r for r in read_csv(seeds / "runs.csv")}
    text = (seeds / "results.tex").read_text()
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    lines = [line.removesuffix(r"\\").split("&") for line in body.strip().splitlines()]
    assert [line[0].strip() for line in lines] == ["expert", "cdred", "bc"]
    for name, *cells in lines:
        for task, cell in zip(("cartpole-balance", "cup-catch"), cells, strict=True):
            r = rows[name.strip(), task]
            numbers = [float(r[key]) for key in ("return_mean", "interval_low", "interval_high")]
            assert [float(x) for x in re.findall(r"[\d.]+", cell)] == [round(n, 1) for n in numbers]


def test_the_latex_tables_hold_aggregates_and_published_numbers(seeds: Path) -> None:
    for name in ("results", "aggregates", "published"):
        text = (seeds / f"{name}.tex").read_text()
        columns = re.search(r"\\begin{tabular}{([lr]+)}", text)
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0].replace(r"\midrule", "")
        lines = [line for line in body.strip().splitlines() if line]
        assert columns and {line.count("&") + 1 for line in lines} == {len(columns[1])}
        assert all(line.endswith(r"\\") for line in lines)
        assert not re.search(r"(?<!\\)[%_#$]", text)
    rows = {r["run"]: r for r in read_csv(seeds / "aggregates.csv")}
    assert f"{float(rows['cdred']['iqm']):.3f}" in (seeds / "aggregates.tex").read_text()
    assert "983.8" in (seeds / "published.tex").read_text()


# ---- over tasks and seeds, and beside others' numbers -------------------------------------------


def test_profiles_and_sample_efficiency_are_over_tasks_and_seeds(seeds: Path) -> None:
    shares = [(np.mean(RETURNS["cdred"]) + 10 * seed) / 950 for seed in (3, 1)] * 2
    profile = [r for r in read_csv(seeds / "profiles.csv") if r["run"] == "cdred"]
    for row in profile:
        level = float(row["expert_share"])
        assert float(row["above"]) == pytest.approx(np.mean([s > level for s in shares]))
        assert float(row["low"]) <= float(row["above"]) <= float(row["high"])
    assert (float(profile[0]["expert_share"]), float(profile[-1]["expert_share"])) == (0, 1)
    rows = read_csv(seeds / "efficiency.csv")
    assert {row["run"] for row in rows} == {"cdred"}  # BC does not interact
    found = [(int(r["step"]), float(r["iqm"])) for r in rows]
    assert found == [(100, pytest.approx(5 / 950)), (200, pytest.approx(880 / 950))]
    text = (seeds / "report.md").read_text()
    assert "![Performance profiles" in text and "![Sample efficiency" in text


def test_the_first_steps_at_half_and_at_the_goal(single: tuple[Plan, Path]) -> None:
    row = next(r for r in read_csv(single[1] / "summary.csv") if r["run"] == "cdred")
    assert (row["half_step"], row["goal_step"]) == ("200", "200")
    text = (single[1] / "report.md").read_text()
    assert "| cartpole-balance | cdred | 0 | 200 | 200 | 520 |" in text
    lacking = " ".join(text.split("## What is not here")[1].split())
    assert "interquartile means over tasks and seeds: it takes two seeds" in lacking
    assert "## Performance profiles" not in text
    assert read_csv(single[1] / "profiles.csv") == read_csv(single[1] / "efficiency.csv") == []


def test_published_numbers_stand_beside_ours_or_are_not_available(seeds: Path) -> None:
    rows = {(r["task"], r["run"]): r for r in read_csv(seeds / "published.csv")}
    expert = rows["cup-catch", "expert"]
    assert (float(expert["measured"]), float(expert["published"])) == (950, 983.8)
    assert "TD-MPC2" in expert["source"]
    assert (rows["cup-catch", "cdred"]["published"], rows["cup-catch", "cdred"]["source"]) == (
        "",
        "",
    )
    text = " ".join((seeds / "report.md").read_text().split())
    assert "| cup-catch | cdred | CDRED | return | 880.0 | not available | not available |" in text
    assert "| cartpole-balance | expert | expert | return | 950.0 | not available |" in text
    assert "On hopper-hop, which is not measured here, it reports a mean of 1.3" in text


def test_the_papers_numbers_are_found_by_task_and_method(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "evaluate":
            found = json.loads((directory / "evaluation.json").read_text())
            for k, episode in enumerate(found["episodes"]):
                episode["success_at_end"] = job.entry == "expert" or k == 0
            (directory / "evaluation.json").write_text(json.dumps(found))

    tasks = ["lift-cube", "hopper-hop", "mw-box-close"]
    _, out = make(tmp_path / "project", write, tasks=tasks, runs=["bc"])
    text = " ".join((out / "report.md").read_text().split())
    assert "| lift-cube | bc | BC | success | 50.0 % | not available | not available |" in text
    assert "| lift-cube | none | CDRED | success | not run | 93.0 % | arXiv 2505.02228" in text
    assert "| hopper-hop | bc | 3.39 | 60 | 1.7 | 30 | measured |" in text
    assert (
        "| hopper-hop | IQ-MPC, published | 324.8 | 8538.6 | | | arXiv 2505.02228 table 9 |" in text
    )
    assert "Of six tasks of Meta-World together the paper gives success 0.81 to 0.99" in text
    row = next(
        r for r in read_csv(out / "runs.csv") if (r["task"], r["run"]) == ("lift-cube", "bc")
    )
    assert float(row["success_low"]) < float(row["success"]) == 0.5 < float(row["success_high"])
