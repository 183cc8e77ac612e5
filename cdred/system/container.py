"""The container that jobs run in: the choice of its image, the check that it fits this checkout,
and the environment inside.

Snakemake starts Apptainer itself; `enter` sets what Apptainer reads from the environment, so that
all profiles, and jobs on cluster nodes, run alike. Standard library alone: the Snakefile uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cdred.errors import CdredError
from cdred.system import machine

LOCK = Path("requirements.lock")
LOCK_LABEL = "cdred.lock.sha256"
BINARIES = ("apptainer", "singularity")  # in Snakemake's order
REMOTE = ("docker://", "oras://", "library://", "shub://", "https://")
# What a job may know of the user's environment. Slurm gives each its GPU by CUDA_VISIBLE_DEVICES.
PASSED = ("HF_TOKEN", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")
PASSED_PREFIX = "MLFLOW_"


def binary() -> str:
    """The container runtime. Raises CdredError if there is none."""
    for name in BINARIES:
        if shutil.which(name):
            return name
    raise CdredError(
        "no container runtime: neither apptainer nor singularity is on the PATH; install one "
        "(docs/image.md), or run without --use-singularity"
    )


def variables(runtime: str, root: Path, outside: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to the environment in which `runtime` (of BINARIES) is started.

    Inside there is what the image sets, the checkout's PYTHONPATH and XDG_* folders, and of
    `outside` (a process's environment) only PASSED, MLFLOW_* and what the user already marked by
    the runtime's own prefix.
    """
    option = runtime.upper()
    inside = {k: v for k, v in outside.items() if k in PASSED or k.startswith(PASSED_PREFIX)}
    inside["PYTHONPATH"] = str(root.resolve())  # the checkout, not the package in the image
    # Snakemake makes the checkout the home folder; what libraries keep there is not for git to see.
    inside |= {
        f"XDG_{k.upper()}_HOME": str(root.resolve() / ".cdred" / k) for k in ("cache", "config")
    }
    added = {f"{option}_CLEANENV": "1"} | {f"{option}ENV_{k}": v for k, v in inside.items()}
    if machine.has_nvidia():
        added[f"{option}_NV"] = "1"
    return added


def enter(reference: str, root: Path = Path()) -> None:
    """Prepare this process to start containers. Raises CdredError when none would work."""
    image = None if reference.startswith(REMOTE) else root / reference
    if image and not image.exists():
        raise CdredError(
            f"{reference}: no such image; `make image sif` builds it, or set compute.container in "
            f"params.yaml to one of a registry (docker://...)"
        )
    runtime = binary()
    if image:
        _check_label(image, root, runtime)
    os.environ.update(variables(runtime, root, os.environ))


def _check_label(image: Path, root: Path, runtime: str) -> None:
    """Refuse an image that was built from another lock than the checkout's. One that a registry
    holds is left to the stage that runs in it (`check_lock`)."""
    done = subprocess.run(
        [runtime, "inspect", "--json", "--labels", str(image)], capture_output=True, text=True
    )
    try:
        labels = json.loads(done.stdout)["data"]["attributes"]["labels"] or {}
    except (ValueError, KeyError, TypeError):
        message = " ".join((done.stderr or done.stdout).split())
        raise CdredError(f"{image.name}: not an image that {runtime} can read: {message}") from None
    built, own = labels.get(LOCK_LABEL), (root / LOCK)
    if built and own.exists() and built != hashlib.sha256(own.read_bytes()).hexdigest():
        raise CdredError(
            f"{image.name}: built from another {LOCK} than this checkout's; `make image sif` "
            f"builds it again"
        )


def check_lock(root: Path) -> None:
    """Refuse to work in an environment, an image or .venv, installed from another lock."""
    installed, own = Path(sys.prefix) / LOCK.name, root / LOCK
    if installed.exists() and own.exists() and installed.read_bytes() != own.read_bytes():
        raise CdredError(
            f"{sys.prefix}: installed from another {LOCK} than this checkout's; `make setup` "
            f"installs it again, `make image sif` builds the container again"
        )


def execute(reference: str, command: list[str], root: Path = Path()) -> None:
    """Replace this process by `command`, run in the image as Snakemake runs jobs. Does not return.

    Raises CdredError when that cannot work.
    """
    enter(reference, root)
    home = str(root.resolve())
    argv = [binary(), "exec", "--home", home, reference, *command]
    os.execvp(argv[0], argv)
