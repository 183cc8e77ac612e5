"""The three benchmarks through the whole DAG."""

from __future__ import annotations

from pathlib import Path

from conftest import Project


def test_an_experiment_over_the_three_suites(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", "config/three_suites.yaml")
    project.run("snakemake", "--cores", "2", "--quiet", "all")
    shown = project.run("cdred", "show")
    for task, reached in (("cartpole-balance", "return"), ("mw-reach", "success"),
                          ("lift-cube", "success")):  # fmt: skip
        (line,) = [x for x in shown.splitlines() if x.startswith(f"- **cdred** on {task}")]
        assert reached in line
    said = project.run("cdred", "verify", "reports/three_suites")
    assert said.count("reproduced ") == 6 and "NOT" not in said
    for task in ("mw-reach", "lift-cube"):
        said = project.run("cdred", "verify", f"artifacts/demos/{task}/expert-2")
        assert "all 2 episodes exactly" in said
