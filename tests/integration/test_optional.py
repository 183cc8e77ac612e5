"""Suites, engines and trackers may all be absent where a stage runs: a stage needs its own suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import Project

STAGES = (
    "expert --task cartpole-balance --expert expert",
    "demos --task cartpole-balance --demos expert-2",
    "imitate --task cartpole-balance --run bc --seed 0",
    "evaluate --task cartpole-balance --run bc --seed 0",
    "bench --sizes small --rounds 1 --threads 1 --no-compile --seconds 1",
)
# Run by every process that starts with it on its path: the packages are not there.
HIDDEN = """
import importlib.machinery, sys
from importlib import metadata

hidden = {"dvc", "mani_skill2", "metaworld", "mlflow", "pynvml", "sapien", "snakemake"}
version = metadata.version


def visible(name):
    if name in hidden:
        raise metadata.PackageNotFoundError(name)
    return version(name)


class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in hidden else super().find_spec(name, path, target)


metadata.version = visible
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Finder
"""


def test_stages_run_where_only_their_own_suite_is_installed(
    project: Project, tmp_path: Path
) -> None:
    project.edit("params.yaml", "tracking: none", "tracking: mlflow")
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    path = f"{project.root}:{tmp_path}"
    for stage in STAGES:
        project.run("python", "-m", "cdred", *stage.split(), PYTHONPATH=path)
    packages = project.manifest("artifacts/agents/cartpole-balance/bc/seed_0")["packages"]
    assert {"dm_control", "torch"} <= packages.keys()
    assert not {"mani_skill2", "metaworld", "sapien"} & packages.keys()
    done = project.attempt("python", "-m", "cdred", "tasks", PYTHONPATH=path)
    assert "missing for all: Meta-World is not installed (metaworld)" in done.stdout


@pytest.mark.parametrize("package", ["pandas", "matplotlib"])
def test_a_missing_package_is_one_line(package: str, project: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDDEN.replace('"dvc"', f'"{package}"'))
    program = f"import {package}"
    code = (
        "import sys; from cdred.cli import main as cli\n"
        "from cdred.cli import inspect\n"
        f"def show(args): {program}\n"
        "inspect.show = show\n"
        "sys.exit(cli(['show']))"
    )
    done = project.attempt("python", "-c", code, PYTHONPATH=f"{project.root}:{tmp_path}")
    assert done.returncode == 2
    assert done.stderr == f"cdred: this needs {package}, which is not installed: `make setup`\n"
