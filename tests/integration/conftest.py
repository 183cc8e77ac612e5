"""Projects of stand-in stages: an environment for them, one that is not made yet, one that is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.sandbox import ALL, Sandbox
from support.standin import make_environment


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
