"""Jobs on clusters, as far as they can be tested without one; test_slurm.py runs them on Slurm."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import yaml
from support.project import CHECKOUT, Project

from cdred.engines.snakemake import find_commands_of
from cdred.errors import CdredError
from cdred.system import cluster

PROFILES = ("slurm", "kubernetes")
SNAKEMAKE = CHECKOUT / ".venv-cluster/bin/snakemake"


def profile(name: str) -> dict:
    return yaml.safe_load((CHECKOUT / "profiles" / name / "config.yaml").read_text())


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is the PATH; scripts that a test puts there are called for Slurm's."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


# ---- the environment, the locks, the profiles ---------------------------------------------------


def test_the_snakefile_needs_no_package_of_the_simulators(project: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'numpy', 'filelock', 'mlflow', 'mujoco'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    path = f"{tmp_path}{os.pathsep}{project.root}"
    assert project.attempt("python", "-c", "import numpy", PYTHONPATH=path).returncode
    assert "report" in project.run("snakemake", "-n", PYTHONPATH=path)


def test_jobs_find_cdred_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment that Snakemake runs in has none."""
    monkeypatch.setenv("PATH", "/bin")
    for name in (".venv", ".venv-cluster"):
        (tmp_path / name / "bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/cdred").touch()
    find_commands_of(str(tmp_path / ".venv-cluster/bin/python"), tmp_path)
    assert os.environ["PATH"] == f"{tmp_path}/.venv/bin:/bin"


def test_the_lock_of_the_cluster_environment_is_fit_to_share() -> None:
    text = (CHECKOUT / "requirements-cluster.lock").read_text()
    assert "://" not in text and "--index" not in text and " @ " not in text
    pinned = re.findall(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", text, re.M)
    lines = [line for line in text.splitlines() if re.match(r"\w", line)]
    assert len(pinned) == len(lines) and all(hashes for _, _, hashes in pinned)
    assert "snakemake-executor-plugin-slurm" in {name for name, _, _ in pinned}
    (version,) = (version for name, version, _ in pinned if name == "snakemake")
    assert f"\nsnakemake=={version} " in (CHECKOUT / "requirements.lock").read_text()


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_name_rules_that_exist_and_repeat_what_they_replace(name: str) -> None:
    rules = {
        rule
        for file in (CHECKOUT / "workflow/rules").glob("*.smk")
        for rule in re.findall(r"^rule (\w+):", file.read_text(), re.M)
    }
    found, default = profile(name), profile("default")
    assert set(found["set-resources"]) <= rules and len(rules) == 6
    default.pop("resources")  # how many GPUs at once: a cluster's own business
    assert {key: found[key] for key in default} == default


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_plan(name: str, project: Project) -> None:
    if not SNAKEMAKE.exists():
        pytest.skip("needs .venv-cluster: make cluster")
    output = project.run(str(SNAKEMAKE), "-n", "--workflow-profile", f"profiles/{name}")
    assert "runtime=1440" in output and "mem_mb=4000" in output
    assert re.search(r"^total +10$", output, re.M)


# ---- what is refused, and what is cancelled -----------------------------------------------------


def test_what_is_not_there_is_one_line(tools: Path) -> None:
    def refused(**options: str) -> str:
        with pytest.raises(CdredError) as caught:
            cluster.prepare(**({"executor": "slurm", "submit": "", "in_container": False} | options), say=print)  # fmt: skip
        return str(caught.value)

    assert refused().startswith("cdred: not found in .venv or on the PATH")
    assert refused(in_container=True).startswith("sbatch: not found; run this where Slurm's")
    kubernetes = {"executor": "cluster-generic", "submit": "profiles/kubernetes/submit {rule}"}
    assert refused(**kubernetes).startswith("kubectl: not found")


def test_what_a_killed_snakemake_left_is_cancelled(tools: Path, tmp_path: Path) -> None:
    """The jobs that Snakemake submitted here, and no other."""
    elsewhere = tmp_path / "other"
    (tmp_path / "queue").write_text(
        f"11|rule_imitate_wildcards_a|{tmp_path}\n12|rule_imitate_wildcards_a|{elsewhere}\n"
        f"13|(null)|{tmp_path}\n14|rule_expert|{tmp_path}\n"
    )
    script(tools, "squeue", f'while read -r l; do echo "$l"; done < {tmp_path}/queue')
    script(tools, "scancel", f'echo "$@" > {tmp_path}/cancelled; : > {tmp_path}/queue')
    output: list[str] = []
    cluster.cancel_left("Slurm", cluster._in_slurm, ("scancel",), output.append, tmp_path)
    assert (tmp_path / "cancelled").read_text() == "11 14\n"
    assert output == [
        "cancelled what an earlier Snakemake left in Slurm: 11, 14; its work goes on from its saved state"
    ]
    cluster.cancel_left("Slurm", cluster._in_slurm, ("scancel",), output.append, tmp_path)
    assert len(output) == 1


def test_slurm_that_does_not_answer_is_one_line(tools: Path, tmp_path: Path) -> None:
    script(tools, "squeue", "echo 'slurm_load_jobs error:' >&2; echo 'no contact' >&2; exit 1")
    with pytest.raises(CdredError, match="slurm_load_jobs error: no contact"):
        cluster._in_slurm(tmp_path)


@pytest.mark.parametrize(
    ("kind", "nodes", "output"),
    [
        ("ext4", "here\nnode-1\nnode-2", "other nodes (node-1 and more) may not see"),
        ("xfs", "here\nnode-1", "other nodes (node-1) may not see"),
        ("nfs4", "here\nnode-1", None),
        ("ext4", "here\nhere", None),
    ],
)
def test_storage_that_nodes_may_not_see_is_said(
    kind: str, nodes: str, output: str | None, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tools, "sinfo", f"echo '{nodes}'")
    script(tools, "df", f"echo Type; echo {kind}")
    monkeypatch.setattr(cluster.platform, "node", lambda: "here.example.org")
    lines: list[str] = []
    cluster.warn_of_local_storage(Path(), lines.append)
    assert len(lines) == (output is not None)
    assert not lines or (output in lines[0] and f"is on {kind}," in lines[0])


def test_jobs_that_left_no_log_never_started(tmp_path: Path) -> None:
    log = "".join(
        f"Job {k} has been submitted with SLURM jobid {k} (log: {tmp_path}/{k}.log).\n"
        for k in (1, 2)
    )
    why = cluster.never_started(log, tmp_path)
    assert why is not None and f"their nodes do not see {tmp_path}, which must be on" in why
    (tmp_path / "2.log").touch()
    assert cluster.never_started(log, tmp_path) is None
    assert cluster.never_started("sbatch failed", tmp_path) is None  # nothing was submitted


# ---- Kubernetes: the scripts of its profile, with a kubectl of ours -----------------------------


def test_a_kubernetes_job_is_filled_in(project: Project, tools: Path) -> None:
    script(tools, "kubectl", 'cat > job; echo "$@" > words; printf cdred-imitate-x7')
    (project.root / "job.sh").touch()
    path = f"{tools}{os.pathsep}{os.defpath}"
    words = ("imitate", "2", "4000", "90", "1", "job.sh")
    done = project.attempt("profiles/kubernetes/submit", *words, PATH=path)
    assert (done.returncode, done.stdout) == (0, "cdred-imitate-x7"), done.stderr
    text = (project.root / "job").read_text()
    assert "@" not in re.sub(r"#.*", "", text)
    job = yaml.safe_load(text)
    assert job["metadata"]["generateName"] == "cdred-imitate-"
    script(tools, "kubectl", f'echo "$@" > {project.root}/words')
    assert cluster._in_kubernetes(project.root) == []  # looks for the label that jobs are given
    label = job["metadata"]["labels"]["cdred-checkout"]
    assert f"--selector=cdred-checkout={label} " in (project.root / "words").read_text()
    assert job["spec"]["activeDeadlineSeconds"] == 5400
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", str(project.root / "job.sh")]
    assert container["workingDir"] == str(project.root)
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "4000M"},
        "limits": {"memory": "4000M", "nvidia.com/gpu": "1"},
    }


@pytest.mark.parametrize(
    ("kubectl", "status"),
    [
        ("printf 'x7 '", "running"),
        ("printf 'x7 SuccessCriteriaMet Complete'", "success"),
        ("printf 'x7 FailureTarget Failed'", "failed"),
        ("true", "failed"),  # deleted by somebody
        ("exit 1", "running"),  # the cluster does not answer
    ],
)
def test_how_a_kubernetes_job_is(kubectl: str, status: str, project: Project, tools: Path) -> None:
    script(tools, "kubectl", kubectl)
    path = f"{tools}{os.pathsep}{os.defpath}"
    assert project.run("profiles/kubernetes/status", "x7", PATH=path) == f"{status}\n"


KUBECTL = """\
case $1 in
create)
  cat > k8s.job; rm -f k8s.end
  script=$(sed -n 's/.*command: .bash, "\\(.*\\)".*/\\1/p' k8s.job)
  setsid sh -c 'echo $$ > k8s.pid; bash "$0" > k8s.log 2>&1 && echo Complete || echo Failed' "$script" \\
    < /dev/null > k8s.end.new 2> /dev/null && mv k8s.end.new k8s.end &
  printf job-x7 ;;
get)
  [ $2 = job ] || { [ -e k8s.end ] || [ ! -e k8s.pid ] || echo job-x7; exit 0; }
  printf 'job-x7 '; [ ! -e k8s.end ] || cat k8s.end ;;
delete) kill -9 -$(cat k8s.pid); rm k8s.pid ;;
esac"""


@pytest.mark.slow
def test_jobs_and_what_is_left_of_them_go_through_the_kubernetes_profile(
    project: Project, tools: Path
) -> None:
    """By a kubectl that runs the jobs on this machine."""
    if not SNAKEMAKE.exists():
        pytest.skip("needs .venv-cluster: make cluster")
    script(tools, "kubectl", KUBECTL)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.defpath])
    project.edit("params.yaml", "steps: 520", "steps: 6000", count=1)
    project.edit("params.yaml", "save_every: 60", "save_every: 1")
    target = "artifacts/experts/cartpole-balance/expert/manifest.json"
    profile = ("--workflow-profile", "profiles/kubernetes", "--latency-wait", "5")
    command = (str(SNAKEMAKE), *profile, target)
    started = project.start(*command, PATH=path)
    while not list(project.root.glob(".cdred/state/*/state.pt")):
        time.sleep(0.1)
        assert started.poll() is None
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    output = project.run(*command, PATH=path)
    assert "cancelled what an earlier Snakemake left in Kubernetes: job-x7; its work" in output
    assert project.ran() == {"experts/cartpole-balance/expert"}
    log = project.root / "logs/experts/cartpole-balance/expert/log.txt"
    assert "going on from the state of" in log.read_text()
