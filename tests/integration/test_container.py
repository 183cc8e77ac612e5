"""Jobs in the container: what is refused before any starts, and real runs where the parts exist.

The real runs need Apptainer and cdred.sif (`make image sif`); `make test-container` runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.engines import ALL, EXPERT, manifests
from support.project import CHECKOUT, SIF, Project

from cdred.system import container

container_test = pytest.mark.container


@pytest.fixture
def without_runtime(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has what a run needs, but no container runtime."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "sh", "git", "env"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{folder}"}


# ---- what is refused, in one line and before anything runs --------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "snakemake --cores 1 --use-singularity",
        "snakemake -n --sdm apptainer",
        "cdred container dvc repro",
    ],
)
def test_no_image_or_no_runtime_is_one_line(
    command: str, project: Project, without_runtime: dict[str, str]
) -> None:
    def refused() -> str:
        done = project.attempt(*command.split(), **without_runtime)
        assert done.returncode == 2
        (output,) = [line for line in done.stderr.splitlines() if "profile" not in line]
        return output

    assert refused() == (
        "cdred: cdred.sif: no such image; `make image sif` builds it, or set compute.container in "
        "params.yaml to one of a registry (docker://...)"
    )
    (project.root / "cdred.sif").touch()
    assert refused().startswith("cdred: no container runtime: neither apptainer nor singularity")
    assert not (project.root / "artifacts").exists()


def test_an_environment_of_another_lock_is_refused_by_every_stage(project: Project) -> None:
    """Whatever started the stage: an old .venv, or an image from a registry."""
    lock = Path(sys.prefix) / "requirements.lock"
    assert lock.read_bytes() == (CHECKOUT / "requirements.lock").read_bytes(), "run make setup"
    command = ["cdred", "expert", "--task", "cartpole-balance", "--expert", "expert"]
    (project.root / "requirements.lock").write_text("numpy==0.1\n")
    done = project.attempt(*command)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cdred: {sys.prefix}: installed from another requirements.lock")
    assert done.stderr.count("\n") == 1
    shutil.copy(lock, project.root)
    project.run(*command)


def test_only_what_is_meant_to_gets_in() -> None:
    outside = {
        "HF_TOKEN": "t", "MLFLOW_TRACKING_URI": "u", "CUDA_VISIBLE_DEVICES": "1",
        "AWS_SECRET_ACCESS_KEY": "s", "PYTHONPATH": "/elsewhere", "LD_PRELOAD": "x", "MY_MLFLOW_": "y",
    }  # fmt: skip
    found = container.variables("apptainer", Path("/checkout"), outside)
    found.pop("APPTAINER_NV", None)  # as this machine has NVIDIA's driver or not
    assert found == {
        "APPTAINER_CLEANENV": "1", "APPTAINERENV_PYTHONPATH": "/checkout", "APPTAINERENV_HF_TOKEN": "t",
        "APPTAINERENV_MLFLOW_TRACKING_URI": "u", "APPTAINERENV_CUDA_VISIBLE_DEVICES": "1",
        "APPTAINERENV_XDG_CACHE_HOME": "/checkout/.cdred/cache",
        "APPTAINERENV_XDG_CONFIG_HOME": "/checkout/.cdred/config",
    }  # fmt: skip


def test_each_process_takes_a_gpu_of_its_own(tmp_path: Path) -> None:
    """Snakemake counts GPUs and names none. Processes that hold one hold it until they end."""
    hold = (
        "from cdred.system.machine import take_gpu; import time;"
        "print(take_gpu(('gpu-a', 'gpu-b')), flush=True); time.sleep(600)"
    )
    started = []

    def take() -> str:
        process = subprocess.Popen(
            [sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
        started.append(process)
        assert process.stdout
        return process.stdout.readline().strip()

    try:
        assert [take(), take()] == ["0", "1"]
        assert [take(), take()] == ["0", "1"]  # more jobs than GPUs: spread evenly
        for process in (started[1], started[3]):
            process.kill()
            process.wait()
        assert take() == "1"
    finally:
        for process in started:
            process.kill()


# ---- in the container ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sif() -> Path:
    if not SIF.exists() or not any(map(shutil.which, container.BINARIES)):
        pytest.skip("needs Apptainer and cdred.sif: make image sif")
    return SIF


@pytest.fixture
def boxed(project: Project, sif: Path) -> Project:
    (project.root / "cdred.sif").symlink_to(sif)
    shutil.copy(CHECKOUT / "requirements.lock", project.root)
    return project


def inside(project: Project, *command: str, **environment: str) -> str:
    return project.run("cdred", "container", *command, **environment)


@container_test
def test_every_way_in_and_none_gives_the_same_bytes(boxed: Project, tmp_path: Path) -> None:
    found = {}
    for name, command in {
        "singularity": "snakemake --cores 2 --use-singularity",
        "apptainer": "snakemake --cores 2 --sdm apptainer",
        "dvc": "cdred container dvc repro",
        "host": "snakemake --cores 2",
    }.items():
        one = Project(tmp_path / name)
        shutil.copytree(boxed.root, one.root, symlinks=True)
        output = one.run(*command.split())
        assert ("Activating singularity image" in output) == (name in ("singularity", "apptainer"))
        assert one.ran() == ALL
        found[name] = manifests(one)
    assert found["singularity"] == found["apptainer"] == found["dvc"]
    assert found["host"] == found["dvc"]
    assert not one.run(
        "git", "-C", str(tmp_path / "singularity"), "status", "--short", ".cache", ".config"
    )


@container_test
def test_jobs_see_what_is_meant_to_get_in_alone(boxed: Project) -> None:
    (boxed.root / "cdred/__init__.py").write_text(
        '__version__ = "0"\nimport json, os\njson.dump(dict(os.environ), open("seen.json", "w"))\n'
    )
    given = {
        "HF_TOKEN": "hf_secret", "MLFLOW_EXPERIMENT_NAME": "mine", "AWS_SECRET_ACCESS_KEY": "leaked",
    }  # fmt: skip
    for command in (
        ["snakemake", "--cores", "1", "--use-singularity", f"artifacts/{EXPERT}/manifest.json"],
        ["cdred", "container", "cdred", "status"],
    ):
        boxed.run(*command, **given)
        seen = json.loads((boxed.root / "seen.json").read_text())
        assert seen["APPTAINER_CONTAINER"].endswith("cdred.sif")
        assert seen["HF_TOKEN"] == "hf_secret" and seen["MLFLOW_EXPERIMENT_NAME"] == "mine"
        assert "leaked" not in seen.values()
        assert not any(name.startswith("AWS_") for name in seen)
    secrets = subprocess.run(["grep", "-rl", "hf_secret", "."], cwd=boxed.root, capture_output=True)
    assert set(secrets.stdout.decode().split()) == {"./seen.json"}  # no log, manifest or database


@container_test
def test_killed_with_its_container_it_goes_on(boxed: Project, tmp_path: Path) -> None:
    shutil.copytree(boxed.root, tmp_path / "whole", symlinks=True)
    whole = Project(tmp_path / "whole")
    command = [
        "snakemake",
        "--cores",
        "1",
        "--use-singularity",
        f"artifacts/{EXPERT}/manifest.json",
    ]
    whole.run(*command)
    boxed.edit("params.yaml", "save_every: 60", "save_every: 0")
    started = boxed.start(*command)
    while not list(boxed.root.glob(".cdred/state/*/state.pt")):
        time.sleep(0.05)
        assert started.poll() is None
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert not (boxed.root / "artifacts" / EXPERT / "manifest.json").exists()
    boxed.run(*command)
    assert "going on from the state of" in (boxed.root / "logs" / EXPERT / "log.txt").read_text()
    assert manifests(boxed) == manifests(whole)


@container_test
def test_an_image_of_another_lock_is_refused(boxed: Project) -> None:
    (boxed.root / "requirements.lock").write_text("numpy==0.1\n")
    done = boxed.attempt("snakemake", "--cores", "1", "--use-singularity")
    assert done.returncode == 2
    assert "cdred: cdred.sif: built from another requirements.lock than this" in done.stderr
    # One that Snakemake or a user runs without asking us: the stage looks for itself.
    command = "cdred expert --task cartpole-balance --expert expert"
    apptainer = [
        "apptainer",
        "exec",
        "--cleanenv",
        "--env",
        f"PYTHONPATH={boxed.root}",
        "cdred.sif",
    ]
    done = boxed.attempt(*apptainer, *command.split())
    assert done.returncode == 2
    assert done.stderr.endswith(
        "cdred: /opt/cdred: installed from another requirements.lock than this checkout's; `make setup` "
        "installs it again, `make image sif` builds the container again\n"
    )
    assert not (boxed.root / "artifacts").exists()


@container_test
def test_the_image_says_what_it_is_and_holds_what_jobs_need(boxed: Project) -> None:
    output = boxed.run("apptainer", "inspect", "--json", "--labels", "cdred.sif")
    labels = json.loads(output)["data"]["attributes"]["labels"]
    assert len(labels["org.opencontainers.image.revision"].removesuffix("-dirty")) == 40
    assert len(labels[container.LOCK_LABEL]) == 64
    program = (
        "import torch, sapien.core, cv2, metaworld, mujoco;"
        "f = torch.compile(lambda x: torch.sin(x) * 2 + 1); x = torch.ones(64);"
        "assert torch.allclose(f(x), torch.sin(x) * 2 + 1); print('compiled')"
    )
    assert "compiled" in inside(boxed, "python", "-c", program)
    for renderer in ("egl", "osmesa"):
        shape = "from dm_control import suite; print(suite.load('cheetah', 'run').physics.render(48, 64).shape)"
        output = inside(boxed, "python", "-c", shape, APPTAINERENV_MUJOCO_GL=renderer)
        assert "(48, 64, 3)" in output


@container_test
def test_without_a_checkout_the_package_of_the_image_runs(sif: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["apptainer", "exec", "--cleanenv", "--no-home", "--pwd", "/tmp", str(sif), "python", "-c", "import cdred; print(cdred.__file__)"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.startswith("/opt/cdred/lib/"), done.stderr
