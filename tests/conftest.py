"""Shared parts of the tests: a throw-away project at toy size, and running commands in it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.sandbox import ALL, Sandbox
from support.standin import make_environment

from cdred.envs.tasks import TASKS, not_installed
from cdred.plan import Plan

torch.set_num_threads(1)  # what the tiny networks of the tests are fastest with
os.environ.pop("MUJOCO_GL", None)  # tests choose a renderer themselves

CHECKOUT = Path(__file__).resolve().parent.parent
SHIPPED = (
    "cdred", "config", "profiles", "workflow", "Snakefile", ".dvcignore", "pyproject.toml",
)  # fmt: skip


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
    """Keep a number under a name; written at once, so that nothing is lost when time is up."""
    file, rows = request.config.getoption("--measurements"), {}

    def keep(name: str, value: float) -> None:
        rows[name] = value
        if file:
            file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")

    return keep


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a suite which is not installed, by its `needs` or its `task`."""
    tasks = [task for mark in item.iter_markers("needs") for task in mark.args]
    parameters = getattr(item, "callspec", None)
    if parameters and parameters.params.get("task") in TASKS:
        tasks.append(parameters.params["task"])
    if item.get_closest_marker("with_device") and item.config.getoption("--device") is None:
        pytest.skip("of the CPU alone, tests/learning tests it; --device cpu runs it all the same")
    for task in tasks:
        if reason := not_installed(TASKS[task].suite):
            pytest.skip(f"{task}: {reason}")


class Project:
    """A copy of the checkout's code and workflow with an experiment of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[Path, int] = {}

    @classmethod
    def create(cls, root: Path, experiment: str = "config/toy.yaml") -> Project:
        for name in SHIPPED:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                root.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, root / name)
        project = cls(root)
        (root / ".gitignore").write_text(
            ".cdred/\n.snakemake/\nlogs/\n__pycache__/\n/digests.yaml\n"
        )
        project.run("git", "init", "-q", ".")
        project.run("dvc", "init", "-q")
        project.run("cdred", "use", experiment)
        return project

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),  # the project's own code, not the installed checkout
            "DVC_NO_ANALYTICS": "1",
            "NO_COLOR": "1",
        }

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this checkout's environment in the project."""
        env = self.environment | environment
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Start a command as the leader of a process group of its own."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment | environment, start_new_session=True,
            stdout=quiet, stderr=quiet,
        )  # fmt: skip

    def run(self, *command: str, **environment: str) -> str:
        """As `attempt`, but failing the test when the command fails; its output."""
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def save(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "t")

    def edit(self, name: str, old: str, new: str, count: int = -1) -> None:
        """Replace `old`, its first `count` places or all of them."""
        text = (self.root / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        (self.root / name).write_text(text.replace(old, new, count))

    def manifest(self, artifact: str) -> dict:
        return json.loads((self.root / artifact / "manifest.json").read_text())

    def table(self, file: str) -> list[dict[str, str]]:
        with (self.root / file).open(newline="") as source:
            return list(csv.DictReader(source))

    def ran(self) -> set[str]:
        """The jobs that were completed since the last call, as `stage/.../name`."""
        found = set()
        for file in (self.root / "logs").rglob("runtime.jsonl"):
            lines = file.read_text().count('"event": "end"')
            if lines > self._seen.get(file, 0):
                found.add(file.parent.relative_to(self.root / "logs").as_posix())
            self._seen[file] = lines
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


# Reports over results written by hand: of one task and seed, of two of each, and where the latter is.


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    from made_reports import make

    return make(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    from made_reports import make

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
