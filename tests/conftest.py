"""Fixtures of all tests, and what is skipped where a suite is not installed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from support.project import Project
from support.sandbox import ALL, Sandbox
from support.standin import make_environment

from cdred import suites
from cdred.envs.tasks import find, names
from cdred.plan import Plan

LONG = ("hub", "integration", "run", "tracking")  # the directories of long files

torch.set_num_threads(1)  # what the tiny networks of the tests are fastest with
os.environ.pop("MUJOCO_GL", None)  # tests choose a renderer themselves


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", choices=("cpu", "cuda"), help="where tests marked cuda compute (default: cpu)"
    )
    parser.addoption("--measurements", type=Path, help="a JSON file for what they measure")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.config.getoption("--device") or "cpu")


@pytest.fixture(scope="session")
def measure(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Keep a number under a name; written at once, so that nothing is lost when time is up. Of
    several processes, each writes a file of its own."""
    file, rows = request.config.getoption("--measurements"), {}
    if file and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
        file = file.with_name(f"{file.stem}-{worker}{file.suffix}")

    def keep(name: str, value: float) -> None:
        rows[name] = value
        if file:
            file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")

    return keep


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what starts engines and servers: a long file that comes last keeps one process
    busy while the others have nothing left to do."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a suite which is not installed, by its `needs` or its `task`."""
    tasks = [task for mark in item.iter_markers("needs") for task in mark.args]
    parameters = getattr(item, "callspec", None)
    if parameters and parameters.params.get("task") in names():
        tasks.append(parameters.params["task"])
    if item.get_closest_marker("with_device") and item.config.getoption("--device") is None:
        pytest.skip("of the CPU alone, tests/learning tests it; --device cpu runs it all the same")
    for task in tasks:
        if reason := suites.not_installed(find(task).suite):
            pytest.skip(f"{task}: {reason}")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy experiment, made by Snakemake. One for all processes of the tests, so for copying."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with FileLock(base / "finished.lock"):
        if not (base / "finished").exists():
            aside = tmp_path_factory.mktemp("finished") / "project"
            Project.create(aside).run("snakemake", "--cores", "2")
            aside.rename(base / "finished")
    return Project(base / "finished")


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    from support.made_reports import make

    return make(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    from support.made_reports import make

    return make(
        tmp_path_factory.mktemp("seeds"), seeds=[3, 1], tasks=["cartpole-balance", "cup-catch"]
    )


@pytest.fixture
def seeds(several: tuple[Plan, Path]) -> Path:
    return several[1]


# Projects of stand-in stages: an environment for them, one that is not made yet, one that is.


@pytest.fixture(scope="session")
def bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("standin") / "environment")


@pytest.fixture(scope="session")
def fresh(bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A project of which nothing is made."""
    return Sandbox.create(tmp_path_factory.mktemp("fresh") / "project", bin)


@pytest.fixture(scope="session")
def made(fresh: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The same, made by Snakemake and known to DVC."""
    sandbox = fresh.copy(tmp_path_factory.mktemp("made") / "project")
    assert sandbox.make("snakemake") == ALL
    assert sandbox.agreed() == set()
    return sandbox


@pytest.fixture
def mine(made: Sandbox, tmp_path: Path) -> Sandbox:
    shutil.copytree(made.root, tmp_path / "mine", symlinks=True)
    return Sandbox(tmp_path / "mine", made.bin)
