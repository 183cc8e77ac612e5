"""The workflow as jobs of a real Slurm: `make test-slurm`. Skipped where there is none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engines import ALL, EXPERT, manifests
from support.project import CHECKOUT, SIF, Project

SNAKEMAKE = CHECKOUT / ".venv-cluster/bin/snakemake"
# Looks at jobs more often than a cluster should be asked.
ON_SLURM = (
    str(SNAKEMAKE), "--workflow-profile", "profiles/slurm", "--latency-wait", "10",
    "--slurm-init-seconds-before-status-checks", "2",
)  # fmt: skip
TARGET = f"artifacts/{EXPERT}/manifest.json"

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    if not shutil.which("sbatch") or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("needs Slurm: sbatch, and sinfo that answers")
    if not SNAKEMAKE.exists():
        pytest.skip("needs .venv-cluster: make cluster")


@pytest.fixture
def cluster(project: Project) -> Project:
    """A project whose jobs find this environment as they find a checkout's .venv."""
    (project.root / ".venv").symlink_to(sys.prefix)
    return project


@pytest.fixture
def slow(cluster: Project) -> Project:
    """Its expert trains for half a minute, long enough to be in its midst when something ends it."""
    cluster.edit("params.yaml", "steps: 520", "steps: 8000", count=1)
    cluster.edit("params.yaml", "save_every: 60", "save_every: 1")
    return cluster


def jobs() -> list[str]:
    done = subprocess.run(["squeue", "--me", "-h", "-o", "%A"], capture_output=True, text=True)
    return done.stdout.split()


def wait(started: subprocess.Popen, until: Callable[[], object]) -> None:
    while not until():
        assert started.poll() is None, "Snakemake ended"
        time.sleep(0.2)


def is_training(project: Project) -> Callable[[], object]:
    return lambda: list(project.root.glob(".cdred/state/*/state.pt"))


def at_home(project: Project, tmp_path: Path, *targets: str) -> dict[str, bytes]:
    """The manifests of the same experiment without Slurm."""
    (tmp_path / "home").mkdir()
    here = Project(tmp_path / "home/project")
    shutil.copytree(
        project.root, here.root, symlinks=True,
        ignore=shutil.ignore_patterns("artifacts", "reports", "logs", ".cdred", ".snakemake"),
    )  # fmt: skip
    here.run("snakemake", "--cores", "1", *targets)
    return manifests(here)


def log(project: Project) -> str:
    return (project.root / "logs" / EXPERT / "log.txt").read_text()


def test_an_experiment_as_jobs_has_the_bytes_of_a_local_run(
    cluster: Project, tmp_path: Path
) -> None:
    """Tracked without a server: nodes write no SQLite file, the end enters all of it."""
    cluster.edit("params.yaml", "tracking: none", "tracking: mlflow")
    output = cluster.run(*ON_SLURM, MLFLOW_TRACKING_URI="")
    assert output.count("has been submitted with SLURM jobid") == len(ALL)
    assert "cdred: MLFLOW_TRACKING_URI is not set: what jobs track is entered into" in output
    assert cluster.ran() == ALL
    assert f"{len(ALL)} runs delivered" in output
    assert manifests(cluster) == at_home(cluster, tmp_path)
    assert "Nothing to be done" in cluster.run(*ON_SLURM)


@pytest.mark.skipif(not SIF.exists(), reason="needs cdred.sif: make image sif")
def test_in_the_container_as_well(cluster: Project, tmp_path: Path) -> None:
    """Each stage says where it ran, by a line in the checkout's package."""
    (cluster.root / "cdred.sif").symlink_to(SIF)
    shutil.copy(CHECKOUT / "requirements.lock", cluster.root)
    with (cluster.root / "cdred/__init__.py").open("a") as file:
        file.write(
            "import os, sys\n"
            "if sys.argv[0].endswith('/bin/cdred'):\n"
            "    print(*map(os.environ.get, ('APPTAINER_CONTAINER', 'SLURM_JOB_ID')),\n"
            f"          file=open('{tmp_path}/ran', 'a'))\n"
        )
    output = cluster.run(*ON_SLURM, "--use-singularity")
    assert output.count("has been submitted with SLURM jobid") == len(ALL)
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == len(ALL)
    assert {Path(image).name for image, _ in ran} == {"cdred.sif"}
    assert len({job for _, job in ran}) == len(ALL)
    assert manifests(cluster) == at_home(cluster, tmp_path)


@pytest.mark.parametrize("how", ["scancel", "kill"])
def test_a_job_that_is_ended_is_tried_again_and_goes_on(
    how: str, slow: Project, tmp_path: Path
) -> None:
    started = slow.start(*ON_SLURM, TARGET)
    wait(started, is_training(slow))
    if how == "scancel":
        subprocess.run(["scancel", *jobs()], check=True)
    else:
        holder = slow.root / ".cdred/locks/artifacts__experts__cartpole-balance__expert.json"
        os.kill(json.loads(holder.read_text())["pid"], signal.SIGKILL)
    assert started.wait() == 0
    assert "going on from the state of" in log(slow)
    assert manifests(slow) == at_home(slow, tmp_path, TARGET)


def test_a_job_out_of_time_goes_on_in_the_next(slow: Project, tmp_path: Path) -> None:
    """A partition's limit may be shorter than a training: here a minute, for about two."""
    slow.edit("params.yaml", "steps: 8000", "steps: 30000", count=1)
    minute = ("--set-resources", "expert:runtime=1", "--retries", "9", "--")
    output = slow.run(*ON_SLURM, *minute, TARGET)
    assert output.count("has been submitted with SLURM jobid") > 1
    assert "going on from the state of" in log(slow)
    assert manifests(slow) == at_home(slow, tmp_path, TARGET)


def test_a_killed_snakemake_leaves_no_second_writer(slow: Project, tmp_path: Path) -> None:
    started = slow.start(*ON_SLURM, TARGET)
    wait(started, is_training(slow))
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    (left,) = jobs()
    output = slow.run(*ON_SLURM, TARGET)
    assert f"cdred: cancelled what an earlier Snakemake left in Slurm: {left}; its work" in output
    assert "going on from the state of" in log(slow)
    assert manifests(slow) == at_home(slow, tmp_path, TARGET)


def test_what_slurm_refuses_is_said(cluster: Project) -> None:
    done = cluster.attempt(
        *ON_SLURM, "--default-resources", "slurm_partition=nowhere", "--retries", "0"
    )
    assert done.returncode == 1
    assert "invalid partition specified: nowhere" in done.stderr
    assert not (cluster.root / "artifacts").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a folder")
def test_a_checkout_that_nodes_do_not_see_is_said(cluster: Project, tmp_path: Path) -> None:
    """Snakemake sees it in a mount of its own, Slurm's node an empty folder."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    inside = 'mount -t tmpfs none "$0" && cp -a "$1/." "$0" && cd "$0" && shift && exec "$@"'
    done = cluster.attempt(
        "unshare", "--mount", "sh", "-c", inside, str(hidden), str(cluster.root), *ON_SLURM,
        "--retries", "0", PYTHONPATH=str(hidden),
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        f"cdred: jobs failed before they started: their nodes do not see {hidden}, which must be on "
        "storage that all nodes share" in done.stderr
    )
