"""Every experiment of config/ is valid, and both engines plan it; a broken one is refused."""

from __future__ import annotations

import io
import random
import re
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from support.configurations import broken
from support.project import CHECKOUT, Project

from cdred.cli import main
from cdred.run import memory

CONFIGURATIONS = 2000  # of the fuzzer
OVERLAYS = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (CHECKOUT / "config").glob("*.yaml")
    if path.name != "base.yaml"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.create(tmp_path_factory.mktemp("configurations") / "project")


def planned(project: Project, overlay: str) -> tuple[dict, list[str]]:
    """params.yaml, and the artifacts that `cdred status` lists."""
    project.run("cdred", "use", overlay)
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    lines = project.run("cdred", "status").splitlines()
    return params, [line for line in lines if line.startswith("missing ")]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_is_valid_and_asks_for_all_its_agents(project: Project, overlay: str) -> None:
    params, lines = planned(project, overlay)
    asked = params["experiment"]
    agents = [line for line in lines if " artifacts/agents/" in line]
    assert len(agents) == len(asked["tasks"]) * len(asked["runs"]) * len(asked["seeds"])
    assert asked["name"] == Path(overlay).stem  # how a reader of reports/ and results/ finds it
    stages = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]
    assert len(stages) == len(lines) + 1  # and `cdred check`


def test_a_clone_begins_with_the_quickstart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """params.yaml and dvc.yaml are committed as `cdred use config/quickstart.yaml` writes them."""
    named = ["config", "params.yaml", "dvc.yaml"]
    asked = subprocess.run(
        ["git", "-C", CHECKOUT, "archive", "HEAD", *named], capture_output=True, check=False
    )
    if asked.returncode != 0:
        pytest.skip("not a git checkout")
    with tarfile.open(fileobj=io.BytesIO(asked.stdout)) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "cdred").symlink_to(CHECKOUT / "cdred")
    monkeypatch.chdir(tmp_path)
    committed = {name: Path(name).read_bytes() for name in named[1:]}
    assert main(["use", "config/quickstart.yaml"]) == 0
    assert {name: Path(name).read_bytes() for name in named[1:]} == committed


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


@pytest.mark.slow
def test_a_broken_one_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With faults of all kinds: each is accepted, or refused by one line with exit code 2,
    in ten seconds of processor time at the most."""
    (tmp_path / "cdred").symlink_to(CHECKOUT / "cdred")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "available", lambda device: 16 * 10**9)
    signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    rng = random.Random(0)
    accepted = 0
    for k in range(CONFIGURATIONS):
        content = broken(rng)
        (tmp_path / "params.yaml").write_bytes(content)
        signal.setitimer(signal.ITIMER_VIRTUAL, 10)
        status = main(["use"]) or main(["check"])
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        text = capsys.readouterr().err
        accepted += status == 0
        assert status in (0, 2), f"{k}: {content[:2000]!r}: {text}"
        assert (text == "") == (status == 0), f"{k}: {text}"
        assert text.count("\n") == (status == 2) and len(text) < 1000, f"{k}: {text}"
        assert text.strip().isprintable(), f"{k}: {text!r}"
    assert accepted > 20


def test_every_experiment_is_listed() -> None:
    table = (CHECKOUT / "config/README.md").read_text().partition("| file | experiment |")[2]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    listed = re.findall(r"`([a-z0-9_]+\.yaml)`", "".join(cells))
    assert sorted(listed) == [Path(overlay).name for overlay in OVERLAYS]
