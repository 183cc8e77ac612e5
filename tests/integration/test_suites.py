"""The three benchmarks through the whole DAG."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from support.killing import Stage
from support.project import Project


@pytest.fixture(scope="module")
def over_three(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("suites") / "project"
    project = Project.create(root, "config/three_suites.yaml")
    project.run("snakemake", "--cores", "2", "--quiet", "all")
    return project


@pytest.mark.slow
@pytest.mark.needs("mw-reach", "lift-cube")
def test_an_experiment_over_the_three_suites(over_three: Project) -> None:
    shown = over_three.run("cdred", "show")
    for task, reached in (("cartpole-balance", "return"), ("mw-reach", "success"),
                          ("lift-cube", "success")):  # fmt: skip
        (line,) = [x for x in shown.splitlines() if x.startswith(f"- **cdred** on {task}")]
        assert reached in line
    output = over_three.run("cdred", "verify", "artifacts/demos/lift-cube/expert-2")
    assert "all 2 episodes exactly" in output


@pytest.mark.slow
@pytest.mark.needs("mw-reach", "lift-cube")
def test_all_of_the_three_suites_is_reproduced(over_three: Project) -> None:
    output = over_three.run("cdred", "verify", "reports/three_suites")
    assert output.count("reproduced ") == 6 and "NOT" not in output
    output = over_three.run("cdred", "verify", "artifacts/demos/mw-reach/expert-2")
    assert "all 2 episodes exactly" in output


@pytest.mark.slow
def test_from_pixels_through_every_stage_and_a_kill(tmp_path: Path) -> None:
    """An expert that sees the state, its demonstrations and an agent in pixels."""
    project = Project.create(tmp_path / "project", "config/toy.yaml")
    data = yaml.safe_load((project.root / "params.yaml").read_text())
    data["experiment"] |= {"tasks": ["mw-reach"], "runs": ["cdred"]}
    data["experts"]["expert"] = {"source": "scripted"}
    data["demos"]["expert-2"]["obs"] = "rgb"
    tiny = {"conv_channels": 4, "steps": 120, "seed_steps": 101, "eval_every": 120}
    data["runs"]["cdred"] |= tiny
    data["compute"]["save_every"] = 0
    (project.root / "params.yaml").write_text(yaml.safe_dump(data))
    project.run("cdred", "use")
    project.run("snakemake", "--cores", "1", "--quiet", "all")
    output = project.run("cdred", "verify", "reports/toy")
    assert output.count("reproduced ") == 2 and "NOT" not in output

    agent = project.root / "artifacts/agents/mw-reach/cdred/seed_0"
    expected = (agent / "manifest.json").read_bytes()  # holds the hash of every file
    shutil.rmtree(agent)
    arguments = ["imitate", "--task", "mw-reach", "--run", "cdred", "--seed", "0"]
    assert Stage(project.root, *arguments, kill_at=221).wait() == -9  # a step is two changes
    assert Stage(project.root, *arguments).wait() == 0
    assert "going on from the state of" in (project.root / "stage.log").read_text()
    assert (agent / "manifest.json").read_bytes() == expected
