"""The report says by itself who reached the expert, and its tables are the raw results."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.stats
from conftest import CHECKOUT
from safetensors.numpy import save_file

from cdred import config, experiments, manifest, report
from cdred.plan import Job, Plan
from cdred.report import contents, measured

RETURNS = {"expert": [900.0, 1000.0], "cdred": [800.0, 920.0], "bc": [0.0, 300.0]}
UPDATES = (10, 20, 23)  # the last row of metrics is a shorter interval
FILM = b"\0\0\0\x18ftypmp42 not really a film"
IMITATION = (
    "reward_expert", "reward_expert_std", "reward_behaviour", "reward_behaviour_std",
    "q_expert", "q_expert_std", "q_behaviour", "q_behaviour_std",
    "expert_error_on_expert", "expert_error_on_behaviour",
    "behaviour_error_on_expert", "behaviour_error_on_behaviour",
)  # fmt: skip
WORLD = (
    "consistency_1",
    "consistency_2",
    "consistency_loss",
    "reward_loss",
    "value_loss",
    "policy_loss",
)

Rows = list[dict[str, Any]]
Write = Callable[[Job, Path], None]


def metrics(method: str, seed: int) -> Rows:
    names = {"bc": ("bc_loss",), "expert": WORLD}.get(method, IMITATION + WORLD)
    return [
        {"step": 100 * k, "update": update}
        | {
            name: (-1) ** (name == "policy_loss") * (k + seed + 0.1 * n)
            for n, name in enumerate(names)
        }
        | {"grad_norm": float(k + seed), "grad_norm_max": 10.0 * k + seed}
        for k, update in enumerate(UPDATES, 1)
    ]


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def write_results(job: Job, directory: Path) -> None:
    """An artifact written by hand; an agent's returns are 10 higher for each seed."""
    directory.mkdir(parents=True)
    method = job.params.get("method", "expert")
    if job.stage == "evaluate":
        method = job.inputs[0].params.get("method", "expert")
        episodes = [
            {
                "return": value + 10 * (job.seed if method != "expert" else 0),
                "success": None,
                "length": 500,
                "seed": 70 + k,
            }
            for k, value in enumerate(RETURNS[job.entry])
        ]
        found = {"method": method, "task": job.task, "episodes": episodes}
        (directory / "evaluation.json").write_text(json.dumps(found))
        if job.entry != "bc":
            (directory / "video.mp4").write_bytes(FILM + bytes([job.seed]))
    elif job.stage == "demos":
        write_csv(
            directory / "episodes.csv",
            [{"episode": k, "return": r} for k, r in enumerate((940.0, 960.0))],
        )
    else:
        curve = {
            "step": 100,
            "update": UPDATES[-1],
            "return_mean": 5.0,
            "return_min": 1.0,
            "return_max": 9.0,
        }
        later = 880.0 if method == "cdred" else 6.0
        write_csv(directory / "curve.csv", [curve, curve | {"step": 200, "return_mean": later}])
        write_csv(directory / "metrics.csv", metrics(method, job.seed))
        (directory / "pretrained_model").mkdir()
        weights = {
            "model.weight": np.zeros((3, 4), np.float32),
            "model.bias": np.zeros(5, np.float32),
        }
        save_file(weights, directory / "pretrained_model" / "model.safetensors")


def make(
    root: Path, write: Write = write_results, method: str = "cdred", **experiment: Any
) -> tuple[Plan, Path]:
    """A report over results written by hand, of the toy experiment changed by `experiment`, its run
    `cdred` by `method`."""
    data, _ = experiments.resolve(CHECKOUT / "config/toy.yaml", CHECKOUT)
    data["experiment"] |= experiment
    data["runs"]["cdred"]["method"] = method
    root.mkdir(exist_ok=True)
    (root / "cdred").symlink_to(CHECKOUT / "cdred")
    plan = Plan(config.validate(data, {}, "test"), root)
    for job in plan.report.inputs:
        write(job, root / job.path)
    (out := root / "out").mkdir()
    report.write(plan, plan.report, out)
    return plan, out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    return make(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    return make(
        tmp_path_factory.mktemp("seeds"), seeds=[3, 1], tasks=["cartpole-balance", "cup-catch"]
    )


@pytest.fixture
def seeds(several: tuple[Plan, Path]) -> Path:
    return several[1]


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


# ---- text and tables ----------------------------------------------------------------------------


def test_the_page_says_who_reached_the_expert(made: tuple[Plan, Path]) -> None:
    text = (made[1] / "report.md").read_text()
    assert (
        "- **cdred** on cartpole-balance, seed 0: mean return 860.0 over 2 episodes, "
        "90.5 % of its expert's: reaches 90 %; its learning curve first did at step 200." in text
    )
    assert "150.0 over 2 episodes, 15.8 % of its expert's: does not reach 90 %." in text
    assert "| cartpole-balance | expert-2 | expert | 2 | 950.0 | 940.0 to 960.0 |" in text
    assert "| cdred | cdred | sample | 0 |" in text and "| bc | bc | mean | 0 |" in text
    for job in made[0].report.inputs:
        assert f"| `{job.path}` | `{job.digest[:12]}` |" in text


def test_the_lineage_leads_from_the_expert_to_every_evaluation(made: tuple[Plan, Path]) -> None:
    short = {job.path.as_posix(): job.digest[:12] for job in made[0].report.inputs}
    agent, evaluation = (
        short[f"artifacts/{kind}/cartpole-balance/cdred/seed_0"]
        for kind in ("agents", "evaluations")
    )
    lines = (made[1] / "report.md").read_text().splitlines()
    at = [k for k, line in enumerate(lines) if line.lstrip().startswith("- ") and "`" in line]
    assert lines[at[0]].startswith("- expert **expert** on cartpole-balance `")
    assert lines[at[1]].startswith("  - demonstrations **expert-2** `")
    assert lines[at[2]] == f"    - agent **cdred**, seed 0 `{agent}` → evaluation `{evaluation}`"
    assert "cdred verify reports/toy" in " ".join(lines)


def test_show_prints_verdicts_and_returns(made: tuple[Plan, Path]) -> None:
    shown = (made[1] / "report.md").read_text().split("\n## Demonstrations")[0]
    assert "reaches 90 %" in shown and "## Final returns" in shown
    assert "<" not in shown and "![" not in shown  # it reads well in a terminal


def test_tables_hold_the_raw_results(made: tuple[Plan, Path]) -> None:
    rows = read_csv(made[1] / "episodes.csv")
    assert [float(r["return"]) for r in rows if r["run"] == "bc"] == RETURNS["bc"]
    assert {(r["seed"], r["episode_seed"]) for r in rows} == {("0", "70"), ("0", "71")}
    summary = {row["run"]: row for row in read_csv(made[1] / "summary.csv")}
    assert float(summary["cdred"]["expert_share"]) == pytest.approx(860 / 950)
    assert summary["bc"]["demos"] == "expert-2"
    assert (summary["cdred"]["goal_step"], summary["bc"]["goal_step"]) == ("200", "")
    assert {row["run"] for row in read_csv(made[1] / "curves.csv")} == {"expert", "cdred", "bc"}
    diagnostics = read_csv(made[1] / "diagnostics.csv")
    for run in ("expert", "cdred", "bc"):
        found = [
            {k: float(v) for k, v in r.items() if v and k not in ("task", "run", "seed")}
            for r in diagnostics
            if r["run"] == run
        ]
        assert found == metrics(run, 0)


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
    # Counted: 520 agent steps with an action repeat of 2, and none for behaviour cloning.
    costs = ("agent_steps", "environment_steps", "updates", "parameters")
    assert [int(cdred[name]) for name in costs] == [520, 1040, 23, 17]
    assert [int(rows["cup-catch", "bc"][name]) for name in costs] == [0, 0, 23, 17]


def test_runs_are_compared_over_tasks_and_seeds(seeds: Path, made: tuple[Any, ...]) -> None:
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
    assert "### Over tasks and seeds" not in (made[1] / "report.md").read_text()
    assert read_csv(made[1] / "aggregates.csv") == []  # of one seed nothing is said


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


def test_the_first_steps_at_half_and_at_the_goal(made: tuple[Plan, Path]) -> None:
    row = next(r for r in read_csv(made[1] / "summary.csv") if r["run"] == "cdred")
    assert (row["half_step"], row["goal_step"]) == ("200", "200")
    text = (made[1] / "report.md").read_text()
    assert "| cartpole-balance | cdred | 0 | 200 | 200 | 520 |" in text
    assert "No profiles and no interquartile means over steps: it takes two seeds" in text
    assert read_csv(made[1] / "profiles.csv") == read_csv(made[1] / "efficiency.csv") == []


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
                episode["success"] = job.entry == "expert" or k == 0
            (directory / "evaluation.json").write_text(json.dumps(found))

    tasks = ["lift-cube", "hopper-hop", "mw-box-close"]
    _, out = make(tmp_path / "project", write, tasks=tasks, runs=["bc"])
    text = " ".join((out / "report.md").read_text().split())
    assert "| lift-cube | bc | BC | success | 50.0 % | not available | not available |" in text
    assert "| lift-cube | none | CDRED | success | not run | 93.0 % | arXiv 2505.02228" in text
    assert "| hopper-hop | bc | 1.7 | 30 | measured |" in text
    assert "| hopper-hop | IQ-MPC, published | 324.8 | 8538.6 | arXiv 2505.02228 table 9 |" in text
    assert "Of six tasks of Meta-World together the paper gives success 0.81 to 0.99" in text
    row = next(
        r for r in read_csv(out / "runs.csv") if (r["task"], r["run"]) == ("lift-cube", "bc")
    )
    assert float(row["success_low"]) < float(row["success"]) == 0.5 < float(row["success_high"])


# ---- what the machines took ---------------------------------------------------------------------


def test_cost_is_read_from_the_logs_and_stays_out_of_the_report(
    made: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan = made[0]
    job = plan.job("imitate", "cartpole-balance", "cdred", 0)
    evaluation = plan.evaluate(job)

    def event(of: Job, attempt: str, name: str, seconds: float, **values: Any) -> str:
        row = {"event": name, "digest": of.digest, "host": "h", "pid": 1, "attempt": attempt}
        return json.dumps(row | {"seconds": seconds, "peak_memory_mb": 900} | values) + "\n"

    def write(of: Job, *lines: str) -> None:
        file = (plan.root / of.log).with_name("runtime.jsonl")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(lines))

    lines = [
        event(job, "a", "start", 1.0, device="cpu"),
        event(job, "a", "interval", 60.0, updates_per_second=50.0),  # killed
        event(job, "b", "start", 1.0, device="cpu"),
        event(job, "b", "end", 40.0),
        event(plan.report, "c", "end", 7777.0),  # of something else
        '{"event": "cut',
    ]
    write(job, *lines)
    measured.write(plan, plan.report)
    folder = (plan.root / plan.report.log).parent
    page = (folder / "cost.html").read_text()
    assert "0:01:40" in page and "900 MB" in page and "7777" not in page
    assert "Energy was not recorded" in page and "energy</th>" not in page
    assert "Of 2 of 3 agents nothing is recorded here" in page

    write(  # energy is counted from each attempt's start
        job,
        event(job, "a", "interval", 50.0, energy_joules=4000.0),
        event(job, "a", "interval", 60.0, energy_joules=5000.0),
        event(job, "b", "interval", 30.0, energy_joules=2000.0),
        event(job, "b", "end", 40.0, energy_joules=2200.0),
    )
    write(evaluation, event(evaluation, "d", "acting", 3.0, ms_per_action=1.234))
    measured.write(plan, plan.report)
    page = (folder / "cost.html").read_text()
    assert "7.2 kJ" in page and "1.23" in page and "not recorded" not in page
    row = next(r for r in read_csv(folder / "cost.csv") if r["run"] == "cdred")
    assert (row["seconds"], row["attempts"], row["energy_joules"]) == ("100.0", "2", "7200.0")
    report.write(plan, plan.report, tmp_path)
    assert manifest.hash_tree(tmp_path) == manifest.hash_tree(made[1])


# ---- the page and its figures -------------------------------------------------------------------


def test_the_html_needs_nothing_else(made: tuple[Plan, Path], seeds: Path) -> None:
    pages = [made[1] / "report.html", *seeds.glob("*.html")]
    assert len(pages) == 1 + 3
    for file in pages:
        out, text = file.parent, file.read_text()
        page = Page(text)
        tags = Counter(tag for tag, _ in page.tags)
        assert (
            tags["table"]
            and tags["svg"]
            and not tags["script"]
            and not tags["link"]
            and not tags["img"]
        )
        for tag, attributes in page.tags:
            for name in ("src", "href", "xlink:href"):
                value = attributes.get(name)
                if tag == "a" and value:  # a page beside it, which leads back
                    assert (out / value).is_file()
                else:
                    assert value is None or value.startswith(("data:", "#")), (tag, value)
        assert not re.search(r"@import|url\((?!#)", text)
        ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
        assert set(ids.values()) == {1}
        referred = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
        assert set(referred) <= set(ids)
        assert tags["table"] == text.count('<div class="scroll"')
        words = re.sub("<[^>]*>", "", text.split("</style>", 1)[1])
        assert not re.search(r"`|\*\*|\| ---|^#", words, re.M)  # all of the Markdown was rendered


def test_figures_follow_the_page(made: tuple[Plan, Path]) -> None:
    page = (made[1] / "report.html").read_text()
    files = sorted(made[1].glob("*.svg"))
    assert len(files) == page.count("<svg") == 2 + 4 + 3 + 5
    for file in files:
        text = file.read_text().strip()
        assert text in page
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img" and "cartpole-balance" in (root.get("aria-label") or "")
        words = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
        assert {"agent steps", "updates", "return"} & set(words)
        assert "currentColor" in text and not re.search("#0{3,6}|font-family: |<metadata", text)
    markdown = (made[1] / "report.md").read_text()
    assert sorted(re.findall(r"!\[[^]]+\]\((.*\.svg)\)", markdown)) == [file.name for file in files]


def test_a_run_has_one_colour(made: tuple[Plan, Path]) -> None:
    blue, vermilion = "#0072B2".lower(), "#D55E00".lower()
    for file in made[1].glob("*.svg"):
        text, run = file.read_text().lower(), file.stem.rsplit("--", 1)[1]
        assert (blue in text) == (run not in ("bc", "bc_loss", "expert"))
        assert (vermilion in text) == (run in ("bc", "bc_loss", "cartpole-balance"))


def test_films_of_the_lowest_seed_stand_side_by_side(made: tuple[Plan, Path], seeds: Path) -> None:
    for out, seed, tasks, returns in (
        (made[1], 0, 1, "return 800.0"),
        (seeds, 1, 2, "return 810.0"),
    ):
        text = (out / "report.html").read_text()
        films = Page(text).of("video")
        content = [base64.b64decode((film["src"] or "").split("base64,")[1]) for film in films]
        assert content == [FILM + b"\0", FILM + bytes([seed])] * tasks  # BC has none
        assert all(
            "autoplay" in f and "loop" in f and "muted" in f and "playsinline" in f for f in films
        )
        assert f"<strong>cdred</strong>, seed {seed}: {returns}" in text
        assert f"<strong>expert</strong>, seed 0: return {RETURNS['expert'][0]:.1f}" in text


def test_the_diagnostics_are_explained_in_two_sentences(made: tuple[Plan, Path]) -> None:
    text = (made[1] / "report.md").read_text()
    words = text.split("## Reward diagnostics")[1].split("###")[0].strip()
    assert len(re.findall(r"\.(\s|$)", words)) == 2 and words.endswith(".")


def test_the_intervals_are_explained_for_the_seeds_there_are(
    made: tuple[Plan, Path], seeds: Path
) -> None:
    one, several = (" ".join((out / "report.md").read_text().split()) for out in (made[1], seeds))
    assert "Of a single seed it draws episodes alone" in one and "draws seeds" not in one
    assert "it draws seeds, then episodes within each seed" in several


def test_the_same_results_give_the_same_bytes(made: tuple[Plan, Path], tmp_path: Path) -> None:
    report.write(made[0], made[0].report, tmp_path)
    assert manifest.hash_tree(tmp_path) == manifest.hash_tree(made[1])


def test_several_tasks_have_a_page_each(made: tuple[Plan, Path], seeds: Path) -> None:
    assert not list(made[1].glob("task--*"))  # the only task's page is the report
    main = (seeds / "report.html").read_text()
    links = [link["href"] for link in Page(main).of("a")]
    assert links == ["task--cartpole-balance.html", "task--cup-catch.html"]
    assert main.count("<svg") == 2 + 2  # over all tasks, and a learning curve each
    for link, other in zip(links, ("cup-catch", "cartpole-balance"), strict=True):
        text = (seeds / str(link)).read_text()
        own = str(link).removeprefix("task--").removesuffix(".html")
        drawn = [f for f in seeds.glob(f"*--{own}*.svg") if f.read_text().strip() in text]
        assert len(drawn) == text.count("<svg") == 2 + 4 + 3 + 5
        assert text.count("<video") == 2 and other not in text
        assert Page(text).of("a") == [{"href": "report.html"}]
        for row in read_csv(seeds / "episodes.csv"):
            if row["task"] == own:
                assert f"{float(row['return']):.1f}" in text


def test_snakemake_finds_all_that_it_shows(
    made: tuple[Plan, Path], several: tuple[Plan, Path], tmp_path: Path
) -> None:
    def without_metrics(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage in ("expert", "imitate"):
            write_csv(directory / "metrics.csv", [])

    for plan, out in (made, several, make(tmp_path / "bare", without_metrics)):
        shown = contents.shown(plan.config)
        assert {item.file for item in shown} >= {f.name for f in out.glob("*.[chs][stv][vmg]*")}
        for item in shown:
            assert (out / item.file).stat().st_size, item.file
            caption = CHECKOUT / "workflow/report" / f"{item.caption}.rst"
            assert caption.read_text().strip().endswith(".")
    captions = {f.stem for f in (CHECKOUT / "workflow/report").glob("*.rst")}
    assert captions == {item.caption for item in contents.shown(several[0].config)}


# ---- experiments that lack something ------------------------------------------------------------


def test_cloning_alone_has_no_reward_to_diagnose(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        (directory / "video.mp4").unlink(missing_ok=True)

    _, out = make(tmp_path / "project", write, runs=["bc"])
    text = (out / "report.md").read_text()
    assert "## Reward diagnostics" not in text and "## Video" not in text
    assert "## Gradient norms" in text and "Cloning loss on" in text
    assert "<video" not in (out / "report.html").read_text()


def test_a_method_without_predictors_has_no_errors_of_them(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "imitate" and job.entry == "cdred":
            rows = read_csv(directory / "metrics.csv")
            kept = [{k: v for k, v in row.items() if "_error_on_" not in k} for row in rows]
            write_csv(directory / "metrics.csv", kept)

    plan, out = make(tmp_path / "project", write, method="iqmpc")
    drawn = {path.name for path in out.glob("*--cdred.svg")}
    assert "reward--cartpole-balance--cdred.svg" in drawn
    assert "errors--cartpole-balance--cdred.svg" not in drawn
    assert {item.file for item in contents.shown(plan.config)} <= {p.name for p in out.iterdir()}


def test_one_row_of_metrics_or_none_is_enough(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage in ("expert", "imitate"):
            rows = metrics(job.params.get("method", "expert"), 0)
            write_csv(directory / "metrics.csv", [] if job.stage == "expert" else rows[:1])

    _, out = make(tmp_path / "project", write)
    runs = {row["run"]: row for row in read_csv(out / "runs.csv")}
    assert (runs["expert"]["grad_norm_mean"], runs["cdred"]["grad_norm_mean"]) == ("", "1.0")
    assert "| cartpole-balance | expert | n/a | n/a |" in (out / "report.md").read_text()
    assert 'd="M' in (out / "reward--cartpole-balance--cdred.svg").read_text()


def test_an_expert_without_return_leaves_nothing_to_compare(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "evaluate":
            found = json.loads((directory / "evaluation.json").read_text())
            for episode in found["episodes"]:
                episode |= {"return": 0.0, "success": job.entry == "cdred"}
            (directory / "evaluation.json").write_text(json.dumps(found))

    _, out = make(tmp_path / "project", write, seeds=[0, 1])
    text = (out / "report.md").read_text()
    assert "seed 0: its expert has 0 return; nothing to compare with." in text
    assert "no expert has a score above 0 on cartpole-balance" in text
    assert "nothing recorded" in (out / "profiles.svg").read_text()  # for Snakemake
    assert "| 0.0 | 0.0 to 0.0 | 0.0 to 0.0 | n/a | 100.0 % |" in text  # its success is known
