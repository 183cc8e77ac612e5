"""The two front ends on real runs at toy size: the same graph, the same bytes, the same caching."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from support.engines import (
    ALL,
    CDRED,
    EXPERT,
    REPORT,
    dvc_is_clean,
    manifests,
    planned,
    snakemake,
)
from support.project import CHECKOUT, Project


@pytest.fixture(scope="module")
def by_snakemake(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.copy(tmp_path_factory.mktemp("smk") / "project")


@pytest.fixture(scope="module")
def by_dvc(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("dvc") / "project")
    project.run("dvc", "repro", "-q")
    return project


def test_each_engine_alone_makes_the_same_bytes(by_snakemake: Project, by_dvc: Project) -> None:
    assert by_snakemake.ran() == ALL
    assert by_dvc.ran() == ALL
    assert manifests(by_snakemake) == manifests(by_dvc)  # they hold the hash of every file


def test_after_snakemake_nothing_is_left_to_do(by_snakemake: Project) -> None:
    assert planned(by_snakemake) == set()
    assert dvc_is_clean(by_snakemake)
    by_snakemake.run("dvc", "repro")
    by_snakemake.ran()
    snakemake(by_snakemake)
    assert by_snakemake.ran() == set()
    assert dvc_is_clean(by_snakemake)


def test_after_dvc_nothing_is_left_to_do(by_dvc: Project) -> None:
    assert planned(by_dvc) == set()
    assert dvc_is_clean(by_dvc)


@pytest.mark.slow
def test_an_experiment_has_columns_of_results_in_dvc(by_dvc: Project, tmp_path: Path) -> None:
    project = by_dvc.copy(tmp_path / "project")
    project.save()
    project.run("dvc", "exp", "run", "-q", "--name", "shorter", "-S", "runs.bc.steps=40")
    (shown,) = json.loads(project.run("dvc", "exp", "show", "--json", "--hide-workspace"))
    before, after = (
        state["data"]["metrics"][f"{REPORT}/metrics.json"]["data"]["cartpole-balance"]
        for state in (shown, shown["experiments"][0]["revs"][0])
    )
    assert before["cdred"] == after["cdred"] and before["bc"] != after["bc"]
    for row in project.table(f"{REPORT}/runs.csv"):
        assert after[row["run"]]["return"] == float(row["return_mean"])
        assert after[row["run"]]["share"] == float(row["expert_share"])
    plots = json.loads(project.run("dvc", "plots", "show", "--json"))
    points = str(plots["data"]["cartpole-balance"])
    for file in (project.root / "artifacts").rglob("curve.csv"):
        assert str(file.relative_to(project.root / "artifacts")) in points


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_snakemake_shows_the_report(
    engine: str, by_snakemake: Project, by_dvc: Project, tmp_path: Path
) -> None:
    project = by_snakemake if engine == "snakemake" else by_dvc
    file = tmp_path / "shown.zip"
    project.run("snakemake", "--report", str(file))
    with zipfile.ZipFile(file) as shown:
        names = {name.rsplit("/", 1)[1] for name in shown.namelist()}
    assert {"report.html", "runs.csv", "learning_curves--cartpole-balance.svg"} <= names
    assert planned(project) == set()


def test_a_fresh_clone_that_pulls_has_nothing_to_do(by_dvc: Project, tmp_path: Path) -> None:
    by_dvc.run("dvc", "remote", "add", "-q", "-f", "-d", "shared", str(tmp_path / "remote"))
    by_dvc.save()
    by_dvc.run("dvc", "push", "-q")
    by_dvc.run("git", "clone", "-q", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("dvc", "pull", "-q")
    assert planned(clone) == set()
    assert dvc_is_clean(clone)


@pytest.mark.slow
def test_only_what_a_change_reaches_runs_again(by_dvc: Project) -> None:
    """A change of parameters and of a template, on real stages; the rest is in test_staleness."""
    project = by_dvc
    project.ran()
    before = manifests(project)
    project.edit("params.yaml", "method: cdred\n", "method: cdred\n    zeta: 0.5\n")
    snakemake(project)
    assert project.ran() == {CDRED, "evaluations/cartpole-balance/cdred/seed_0", REPORT}

    # Set back: DVC restores the old results from its run cache, and Snakemake accepts them.
    project.edit("params.yaml", "    zeta: 0.5\n", "")
    assert planned(project) == {CDRED, "evaluations/cartpole-balance/cdred/seed_0", REPORT}
    project.run("dvc", "repro", "-q")
    assert project.ran() == set()
    assert manifests(project) == before
    assert planned(project) == set()

    # A dropped run, and another heading.
    project.edit("params.yaml", "  runs:\n  - cdred\n  - bc\n", "  runs:\n  - cdred\n")
    project.edit(
        "cdred/report/templates/sections.md.j2", "## Final returns", "## The final returns"
    )
    project.run("dvc", "repro", "-q")
    assert project.ran() == {REPORT}
    text = (project.root / REPORT / "report.md").read_text()
    assert "| bc |" not in text and "## The final returns" in text


RECORDING = (("cdred", "record"), ("dvc", "commit", "-f"))


def test_what_is_damaged_is_not_recorded(by_dvc: Project) -> None:
    curve = by_dvc.root / "artifacts" / EXPERT / "curve.csv"
    lock, before = (by_dvc.root / "dvc.lock").read_text(), curve.read_bytes()
    curve.write_bytes(before + b"x")
    done = by_dvc.attempt(*RECORDING[1])
    curve.write_bytes(before)
    assert done.returncode == 2
    assert re.fullmatch(
        r"cdred: \S+/curve.csv: damaged, its hash differs from its manifest; .*\n", done.stderr
    )
    assert (by_dvc.root / "dvc.lock").read_text() == lock


@pytest.mark.parametrize("command", RECORDING, ids=" ".join)
def test_what_is_stale_is_not_recorded(command: tuple[str, ...], by_dvc: Project) -> None:
    project = by_dvc
    before = (project.root / "params.yaml").read_text()
    project.edit("params.yaml", "  seed: 0\n  video", "  seed: 7\n  video")
    lock = (project.root / "dvc.lock").read_text()
    done = project.attempt(*command)
    (project.root / "params.yaml").write_text(before)
    assert done.returncode == 2
    assert re.fullmatch(r"cdred: artifacts/\S+ is stale: .* brings it up to date\n", done.stderr)
    assert (project.root / "dvc.lock").read_text() == lock


@pytest.mark.parametrize(
    ("engine", "killed"),
    [
        ("snakemake", "everything"),
        ("dvc", "stage"),
        pytest.param("snakemake", "stage", marks=pytest.mark.slow),
        pytest.param("dvc", "everything", marks=pytest.mark.slow),
    ],
)
def test_killed_in_its_midst_the_same_command_completes_it(
    engine: str, killed: str, project: Project, by_dvc: Project
) -> None:
    """The stage alone is killed, or it and the engine at once, as by a power cut."""
    project.edit("params.yaml", "save_every: 60", "save_every: 0")
    command = {
        "snakemake": ["snakemake", "--cores", "1", f"artifacts/{EXPERT}/manifest.json"],
        "dvc": ["dvc", "repro", "-q", "expert--cartpole-balance--expert"],
    }[engine]
    started = project.start(*command)
    while not list(project.root.glob(".cdred/state/*/state.pt")):
        time.sleep(0.05)
        assert started.poll() is None
    if killed == "stage":
        holder = project.root / ".cdred/locks/artifacts__experts__cartpole-balance__expert.json"
        os.kill(json.loads(holder.read_text())["pid"], signal.SIGKILL)
    else:
        os.killpg(started.pid, signal.SIGKILL)
    assert started.wait() != 0
    assert not (project.root / "artifacts" / EXPERT / "manifest.json").exists()
    project.run(*command)
    log = (project.root / "logs" / EXPERT / "log.txt").read_text()
    assert "going on from the state of" in log
    name = f"artifacts/{EXPERT}/manifest.json"
    assert manifests(project)[name] == manifests(by_dvc)[name]


# ---- the graphs, compared without running anything ---------------------------------------------

MATRIX = """\
experiment: {name: matrix, tasks: [cup-catch, reacher-easy], runs: [cdred, half, bc], seeds: [0, 3]}
experts:
  expert: {preset: small}
  other: {preset: small, seed: 5}
  idle-expert: {preset: small}
demos:
  ten: {expert: expert, episodes: 10}
  five: {expert: other, episodes: 5}
runs:
  cdred: {method: cdred, preset: small, demos: ten}
  half: {method: cdred, preset: small, demos: five, zeta: 0.5}
  bc: {method: bc, preset: small, demos: ten, demo_episodes: 4}
  idle: {method: red, demos: five}
"""
CONFIGS = {"quickstart": "config/quickstart.yaml", "toy": "config/toy.yaml", "matrix": MATRIX}


def snakemake_graph(project: Project) -> dict[str, tuple[str, frozenset[str]]]:
    """Artifact -> command and artifacts read, from a dry run of every job."""
    text = project.run("snakemake", "-n", "-p", "--forceall")
    graph = {}
    for block in re.split(r"\nrule |\nlocalrule ", text):
        output = re.search(r"output: \.cdred/made/(\S+)/[0-9a-f]+\n", block)
        if output:
            read = re.search(r"input: (.*)", block)
            command = re.search(r"Shell command: (.*) --log", block)
            assert command
            sources = re.findall(r"\.cdred/made/(\S+)/[0-9a-f]+", read[1] if read else "")
            graph[output[1]] = (" ".join(command[1].split()), frozenset(sources))
    return graph


def dvc_graph(project: Project) -> dict[str, tuple[str, frozenset[str]]]:
    stages = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]
    return {
        out: (stage["cmd"], frozenset(stage.get("deps", [])))
        for name, stage in stages.items()
        for out in stage["outs"]
        if name != "check"
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_the_two_graphs_are_one(name: str, tmp_path: Path) -> None:
    overlay = CONFIGS[name]
    project = Project.create(tmp_path / "project")
    if name == "matrix":
        (project.root / "config/matrix.yaml").write_text(overlay)
        overlay = "config/matrix.yaml"
    project.run("cdred", "use", "--force", overlay)
    graph = snakemake_graph(project)
    assert graph == dvc_graph(project)
    if name == "matrix":
        # 2 tasks x (2 experts + 2 demos + 3 runs x 2 seeds, their evaluations and the experts')
        assert len(graph) == 2 * (2 + 2 + 6 + 6 + 2) + 1
        _, sources = graph["artifacts/agents/reacher-easy/half/seed_3"]
        assert sources == {"artifacts/demos/reacher-easy/five"}
        assert not any("idle" in path for path in graph)


def test_the_workflow_is_linted() -> None:
    project = Project(CHECKOUT)
    assert "good condition" in project.run("snakemake", "--lint")
    project.run("snakefmt", "--check", "Snakefile", "workflow")


# ---- bad input, in every front end --------------------------------------------------------------


def test_a_bad_configuration_is_one_line_everywhere(project: Project) -> None:
    project.edit("params.yaml", "method: cdred", "method: cdrd")
    line = (
        "runs.cdred.method: no method is called 'cdrd'; did you mean 'cdred'? valid: bc, cdred, "
        "cfil, gail, hype, iqlearn, iqmpc, red, sail"
    )
    for command in ("cdred report", "cdred check", "snakemake -n", "dvc repro"):
        done = project.attempt(*command.split())
        assert done.returncode == 2, command
        output = [text for text in done.stderr.splitlines() if "profile" not in text]
        assert len(output) == 1 and output[0].startswith("cdred: params.yaml:"), done.stderr
        assert output[0].endswith(line)
    done = project.attempt("python", "-m", "dvc", "repro")  # without what scripts/dvc adds
    assert done.returncode != 0
    assert line in done.stderr and "exited with 2" in done.stderr
    assert not (project.root / "artifacts").exists()


def test_dvc_yaml_follows_an_edited_params_yaml(project: Project) -> None:
    project.edit("params.yaml", "seeds:\n  - 0", "seeds:\n  - 4")
    project.run("dvc", "repro", "check")
    assert "artifacts/agents/cartpole-balance/cdred/seed_4" in dvc_graph(project)
    # DVC without what scripts/dvc adds: its first stage stops a graph that is out of date.
    project.edit("params.yaml", "seeds:\n  - 4", "seeds:\n  - 5")
    done = project.attempt("python", "-m", "dvc", "repro")
    assert done.returncode != 0 and "was brought in line; run `dvc repro` again" in done.stderr
    assert "artifacts/agents/cartpole-balance/cdred/seed_5" in dvc_graph(project)
    assert not (project.root / "artifacts").exists()


def test_what_dvc_would_not_see_is_refused(project: Project) -> None:
    done = project.attempt("snakemake", "-n", "--config", "evaluation=3")
    assert done.returncode == 2
    assert "--config and --configfile are not read" in done.stderr


@pytest.mark.parametrize("command", ["snakemake --cores 1", "dvc repro"])
def test_a_directory_that_is_not_ours_stops_both(command: str, project: Project) -> None:
    mine = project.root / "artifacts/agents/cartpole-balance/cdred/seed_0"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("precious")
    done = project.attempt(*command.split())
    assert done.returncode == 2
    assert "artifacts/agents/cartpole-balance/cdred/seed_0: exists and was not made" in done.stderr
    assert (mine / "thesis.txt").read_text() == "precious"
