"""Every experiment of config/ is valid, and both engines plan it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.project import CHECKOUT, Project

OVERLAYS = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (CHECKOUT / "config").glob("*.yaml")
    if path.name != "base.yaml"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.create(tmp_path_factory.mktemp("configurations") / "project")


def planned(project: Project, overlay: str) -> tuple[dict, list[str]]:
    """params.yaml, and what `cdred status` lists."""
    project.run("cdred", "use", overlay)
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    return params, project.run("cdred", "status").splitlines()[:-1]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_is_valid_and_asks_for_all_its_agents(project: Project, overlay: str) -> None:
    params, lines = planned(project, overlay)
    asked = params["experiment"]
    agents = [line for line in lines if " artifacts/agents/" in line]
    assert len(agents) == len(asked["tasks"]) * len(asked["runs"]) * len(asked["seeds"])
    assert asked["name"] == Path(overlay).stem  # how a reader of reports/ and results/ finds it
    stages = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]
    assert len(stages) == len(lines) + 1  # and `cdred check`


@pytest.mark.parametrize(
    "overlay",
    [
        pytest.param(o, marks=() if o == "config/paper_ablations.yaml" else pytest.mark.slow)
        for o in OVERLAYS
    ],
)
def test_each_is_planned_by_snakemake(project: Project, overlay: str) -> None:
    _, lines = planned(project, overlay)
    text = project.run("snakemake", "--dry-run", "--cores", "2", "--quiet", "host")
    (total,) = {line.split()[1] for line in text.splitlines() if line.startswith("total")}
    assert int(total) == len(lines) + 2  # the target and the files of the report
