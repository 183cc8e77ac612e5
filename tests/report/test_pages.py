"""The report's pages and figures, of experiments that hold all and of those that lack something."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.made_reports import FILM, RETURNS, make, metrics, read_csv, write_csv, write_results
from support.project import CHECKOUT

from cdred import manifest, report
from cdred.learning.display import OF_EVERY_RUN
from cdred.plan import Job, Plan
from cdred.plan.description import describe
from cdred.report import catalogue, svg


class Page(HTMLParser):
    """The facts about a page that tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


# ---- the page and its figures -------------------------------------------------------------------


def test_the_html_needs_nothing_else(single: tuple[Plan, Path], seeds: Path) -> None:
    pages = [single[1] / "report.html", *seeds.glob("*.html")]
    assert len(pages) == 1 + 3
    for file in pages:
        out, text = file.parent, file.read_text()
        page = Page(text)
        tags = Counter(tag for tag, _ in page.tags)
        assert (
            tags["table"]
            and tags["svg"]
            and tags["script"] == 1
            and not tags["link"]
            and not tags["img"]
        )
        for tag, attributes in page.tags:
            for name in ("src", "href", "xlink:href"):
                value = attributes.get(name)
                if tag == "a" and value and not value.startswith("#"):
                    beside, paper = out / value, "https://arxiv.org/abs/2505.02228"
                    assert beside.is_file() or value == paper or value.startswith("../../"), value
                else:
                    assert value is None or value.startswith(("data:", "#")), (tag, value)
        assert not re.search(r"@import|url\((?!#)", text)
        ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
        assert set(ids.values()) == {1}
        referred = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
        assert set(referred) <= set(ids)
        assert tags["table"] == text.count('<div class="scroll"')
        words = re.sub("<[^>]*>", "", text.split("</style>", 1)[1].split("<script>")[0])
        assert not re.search(r"`|\*\*|\| ---|^#", words, re.M)  # all of the Markdown was rendered


def test_figures_follow_the_page(single: tuple[Plan, Path]) -> None:
    page = (single[1] / "report.html").read_text()
    files = sorted(single[1].glob("*.svg"))
    assert len(files) == page.count("<svg") == 3 + 4 + 3 + 5
    for file in files:
        text = file.read_text().strip()
        assert text in page
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img" and "cartpole-balance" in (root.get("aria-label") or "")
        words = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
        assert {"agent steps", "updates", "return"} & set(words)
        assert "currentColor" in text and not re.search("#0{3,6}|font-family: |<metadata", text)
    markdown = (single[1] / "report.md").read_text()
    assert sorted(re.findall(r"!\[[^]]+\]\((.*\.svg)\)", markdown)) == [file.name for file in files]


def test_a_run_has_one_colour(single: tuple[Plan, Path]) -> None:
    blue, vermilion = "#0072B2".lower(), "#D55E00".lower()
    for file in single[1].glob("*.svg"):
        text, run = file.read_text().lower(), file.stem.rsplit("--", 1)[1]
        assert (blue in text) == (run not in ("bc", "bc_loss", "expert", "expert-2"))
        assert (vermilion in text) == (run in ("bc", "bc_loss", "cartpole-balance"))


def test_a_long_legend_leaves_the_plot_its_room() -> None:
    def height(lines: int) -> float:
        def plot(axes: Any) -> None:
            for k in range(lines):
                axes.plot([0, 1], label=f"run-{k}")

        panel = svg.draw("many", "many", "many", plot)
        return float(ElementTree.fromstring(panel.svg).attrib["height"].removesuffix("pt"))

    assert height(2) == height(8)
    assert height(18) - height(8) == pytest.approx(5 * 0.21 * 72, rel=0.01)


def test_films_of_the_lowest_seed_stand_side_by_side(
    single: tuple[Plan, Path], seeds: Path
) -> None:
    for out, seed, tasks, returns in (
        (single[1], 0, 1, "return 800.0"),
        (seeds, 1, 2, "return 810.0"),
    ):
        text = (out / "report.html").read_text()
        films = Page(text).of("video")
        content = [base64.b64decode((film["src"] or "").split("base64,")[1]) for film in films]
        worst = FILM + b"worst"
        expected = [FILM + b"\0", worst, FILM + bytes([seed]), worst]
        assert content == expected * tasks  # BC has none
        assert all(
            "autoplay" in f and "loop" in f and "muted" in f and "playsinline" in f for f in films
        )
        assert f"<strong>cdred</strong>, seed {seed}<" in text
        assert f">median: {returns}, 2nd of 2<" in text and f">worst: {returns}, 2nd of 2<" in text
        assert f">median: return {RETURNS['expert'][0]:.1f}, 2nd of 2<" in text


def test_episodes_of_one_return_share_their_ranks(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "evaluate":
            found = json.loads((directory / "evaluation.json").read_text())
            found["episodes"] = [found["episodes"][k] for k in (1, 0, 0)]
            (directory / "evaluation.json").write_text(json.dumps(found | {"filmed": 1}))

    _, out = make(tmp_path / "project", write)
    text = (out / "report.html").read_text()
    assert ">median: return 800.0, 2nd to 3rd of 3<" in text


def test_a_spike_of_the_first_updates_is_not_drawn_and_told(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage == "imitate" and job.entry == "cdred":
            like = metrics("cdred", 0)[0]
            rows = [like | {"step": 10 * k, "update": k, "q_expert": 2.0 + k} for k in range(1, 40)]
            rows[0]["q_expert"] = 98765.0
            write_csv(directory / "metrics.csv", rows)

    _, out = make(tmp_path / "project", write)
    note = "Not drawn: up to 9.88e+04, at the start."
    assert f"<figcaption>{note}</figcaption>" in (out / "report.html").read_text()
    assert f"*{note}*" in (out / "report.md").read_text()
    axes = json.loads(
        ElementTree.fromstring((out / "q--cartpole-balance--cdred.svg").read_text()).attrib[
            "data-axes"
        ]
    )
    assert axes["y"][1] < 60 and axes["x"][1] > 390
    assert "Not drawn" not in (out / "q--cartpole-balance--cdred.svg").read_text()


def test_the_contents_lead_to_every_section(single: tuple[Plan, Path]) -> None:
    text = (single[1] / "report.html").read_text()
    page = Page(text)
    heads = [attributes["id"] for attributes in page.of("h2")]
    listed = re.findall(r'href="#([^"]+)"', text.split("<nav")[1].split("</nav>")[0])
    assert listed == heads and "final-returns" in heads
    assert "beside-the-published-numbers" not in heads  # nothing is published of its task
    assert heads[-1] == "what-is-not-here"


def test_the_header_says_what_was_run_and_where(single: tuple[Plan, Path], tmp_path: Path) -> None:
    facts = (("commit", "abc123<b>"), ("machine", "a machine (cpu)"))
    report.write(replace(describe(single[0]), facts=facts), tmp_path)
    text = (tmp_path / "report.html").read_text().split("</dl>")[0]
    output = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert output["commit"] == "abc123&#60;b&#62;" and output["machine"] == "a machine (cpu)"
    assert (output["task"], output["runs"], output["demonstrations"]) == (
        "cartpole-balance", "cdred, bc", "2",
    )  # fmt: skip


def test_each_demonstrated_episode_has_its_row_and_its_line(single: tuple[Plan, Path]) -> None:
    text = (single[1] / "report.html").read_text()
    browser = text.split('<details class="browser">')[1].split("</details>")[0]
    assert 'class="line-0"' in browser and 'class="line-1"' in browser
    assert '<td style="text-align:right">940.0</td>' in browser
    rows = read_csv(single[1] / "demo_episodes.csv")
    assert [(row["episode"], row["return"]) for row in rows] == [("0", "940.0"), ("1", "960.0")]


def test_the_diagnostics_are_explained_in_two_sentences(single: tuple[Plan, Path]) -> None:
    text = (single[1] / "report.md").read_text()
    words = text.split("## Reward diagnostics")[1].split("###")[0].strip()
    assert len(re.findall(r"\.(\s|$)", words)) == 2 and words.endswith(".")


def test_the_intervals_are_explained_for_the_seeds_there_are(
    single: tuple[Plan, Path], seeds: Path
) -> None:
    one, several = (" ".join((out / "report.md").read_text().split()) for out in (single[1], seeds))
    assert "Of a single seed it draws episodes alone" in one and "draws seeds" not in one
    assert "it draws seeds, then episodes within each seed" in several


def test_the_same_results_give_the_same_bytes(single: tuple[Plan, Path], tmp_path: Path) -> None:
    report.write(describe(single[0]), tmp_path)
    assert manifest.hash_tree(tmp_path) == manifest.hash_tree(single[1])


def test_several_tasks_have_a_page_each(single: tuple[Plan, Path], seeds: Path) -> None:
    assert not list(single[1].glob("task--*"))  # the only task's page is the report
    main = (seeds / "report.html").read_text()
    links = [link["href"] for link in Page(main).of("a") if "task--" in str(link["href"])]
    assert links == ["task--cartpole-balance.html", "task--cup-catch.html"]
    assert main.count("<svg") == 2 + 2  # over all tasks, and a learning curve each
    for link, other in zip(links, ("cup-catch", "cartpole-balance"), strict=True):
        text = (seeds / str(link)).read_text()
        own = str(link).removeprefix("task--").removesuffix(".html")
        drawn = [f for f in seeds.glob(f"*--{own}*.svg") if f.read_text().strip() in text]
        assert len(drawn) == text.count("<svg") == 3 + 4 + 3 + 5
        assert text.count("<video") == 4 and other not in text
        assert {"href": "report.html"} in Page(text).of("a")
        for row in read_csv(seeds / "episodes.csv"):
            if row["task"] == own:
                assert f"{float(row['return']):.1f}" in text


def test_snakemake_finds_all_that_it_shows(
    single: tuple[Plan, Path], several: tuple[Plan, Path], tmp_path: Path
) -> None:
    def without_metrics(job: Job, directory: Path) -> None:
        write_results(job, directory)
        if job.stage in ("expert", "imitate"):
            write_csv(directory / "metrics.csv", [])

    bare = make(tmp_path / "bare", without_metrics)
    sail = make(tmp_path / "sail", write_results, method="sail")
    for plan, out in (single, several, bare, sail):
        shown = catalogue.files(describe(plan))
        assert {item.file for item in shown} >= {f.name for f in out.glob("*.[chs][stv][vmg]*")}
        for item in shown:
            assert (out / item.file).stat().st_size, item.file
            caption = CHECKOUT / "workflow/report" / f"{item.caption}.rst"
            assert caption.read_text().strip().endswith(".")
        of_training = {n[0] for item in shown if len(n := item.file.split("--")) == 3}
        assert of_training - OF_EVERY_RUN <= {"errors", "discriminator", "support"}
    captions = {f.stem for f in (CHECKOUT / "workflow/report").glob("*.rst")}
    assert captions - {"method_figure", "demonstrations_figure"} == {
        item.caption for item in catalogue.files(describe(several[0]))
    }


# ---- experiments that lack something ------------------------------------------------------------


def test_cloning_alone_has_no_reward_to_diagnose(tmp_path: Path) -> None:
    def write(job: Job, directory: Path) -> None:
        write_results(job, directory)
        for name in ("video.mp4", "worst.mp4"):
            (directory / name).unlink(missing_ok=True)

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
    assert {item.file for item in catalogue.files(describe(plan))} <= {
        p.name for p in out.iterdir()
    }


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
                episode |= {"return": 0.0, "success_at_end": job.entry == "cdred"}
            (directory / "evaluation.json").write_text(json.dumps(found))

    _, out = make(tmp_path / "project", write, seeds=[0, 1])
    text = (out / "report.md").read_text()
    assert "seed 0: its expert has 0 return; nothing to compare with." in text
    assert "the expert's score is not above 0 on cartpole-balance" in text
    assert "nothing recorded" in (out / "profiles.svg").read_text()  # for Snakemake
    assert "| 0.0 | 0.0 to 0.0 | 0.0 to 0.0 | n/a | 100.0 % |" in text  # its success is known
