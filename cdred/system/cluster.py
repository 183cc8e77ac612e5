"""Jobs on a cluster: checks before any is submitted, and cancelling those that were left behind.

Snakemake's executor plugins submit the jobs; the profiles say how. Imports neither numpy nor
torch: the Snakefile uses it, in an environment that has neither.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cdred.errors import CdredError

# Set in jobs by Slurm, and told to containers (`container.PASSED`).
JOB_ID = "SLURM_JOB_ID"
GONE_AFTER = 120.0  # seconds that a cancelled job may take to end
# File systems that a machine has for itself, unless it exports them.
LOCAL = ("btrfs", "ext2", "ext3", "ext4", "overlay", "tmpfs", "xfs", "zfs")


def prepare(executor: str, submit: str, in_container: bool, say: Callable[[str], None]) -> None:
    """Check, before jobs are submitted, that what they need is there, and cancel earlier jobs.

    `executor` is the plugin's name, `submit` the command by which it submits, if it is told one.
    Raises CdredError if not.
    """
    if executor == "slurm":
        if not in_container and not shutil.which("cdred"):
            raise CdredError(
                "cdred: not found in .venv or on the PATH, jobs would not find it; run `make setup`"
            )
        for name in ("sbatch", "squeue", "scancel", "sinfo"):
            _need(name, "run this where Slurm's commands are (a login node)", "slurm")
        warn_of_local_storage(Path(), say)
        cancel_left("Slurm", _in_slurm, ("scancel",), say)
    elif submit.startswith("profiles/kubernetes/"):
        _need("kubectl", "install it and let it reach the cluster", "kubernetes")
        cancel = ("kubectl", "delete", "job", "--ignore-not-found", "--cascade=foreground")
        cancel_left("Kubernetes", _in_kubernetes, cancel, say)


def _need(command: str, where: str, profile: str) -> None:
    if not shutil.which(command):
        raise CdredError(f"{command}: not found; {where}, or do without profiles/{profile}")


def warn_of_local_storage(root: Path, say: Callable[[str], None]) -> None:
    """Warn when Slurm has nodes that may not see the checkout."""
    nodes = set(_call("sinfo", "--noheader", "--Node", "--format=%N").split())
    others = sorted(nodes - {platform.node(), platform.node().split(".")[0]})
    kind = _call("df", "--output=fstype", str(root.resolve())).split()[-1]  # below its heading
    if others and kind in LOCAL:
        say(
            f"this checkout is on {kind}, which Slurm's other nodes ({others[0]}"
            f"{' and more' if others[1:] else ''}) may not see; it must be on storage that all "
            f"nodes share"
        )


def never_started(log: str, root: Path) -> str | None:
    """The likely reason when a Snakemake failed under Slurm and, by its log, no job that it
    submitted left a log of its own. (Logs of successful jobs are removed.)"""
    files = re.findall(r"submitted with SLURM jobid \d+ \(log: (.+)\)", log)
    if not files or any(Path(file).exists() for file in files):
        return None
    return (
        f"jobs failed before they started: their nodes do not see {root.resolve()}, which must be "
        f"on storage that all nodes share; or they were cancelled in the queue"
    )


def cancel_left(
    cluster: str, jobs: Callable[[Path], list[str]], cancel: tuple[str, ...],
    say: Callable[[str], None], root: Path = Path(),
) -> None:  # fmt: skip
    """Cancel the jobs that a killed Snakemake left: they would hold the locks of those that are
    submitted now, which go on from their saved states.

    They can be of no Snakemake that is alive: one at a time runs jobs in a checkout
    (`locks.hold_checkout`). Raises CdredError when they do not end.
    """
    left = jobs(root)
    if not left:
        return
    _call(*cancel, *left)
    say(
        f"cancelled what an earlier Snakemake left in {cluster}: {', '.join(left)}; its work goes "
        f"on from its saved state"
    )
    until = time.monotonic() + GONE_AFTER
    while left := jobs(root):
        if time.monotonic() > until:
            raise CdredError(
                f"{cluster} does not end {', '.join(left)}, which an earlier Snakemake left; run "
                f"this again when they are gone"
            )
        time.sleep(1)


def _in_slurm(root: Path) -> list[str]:
    """This user's jobs that Snakemake submitted in this checkout: the plugin runs them in its
    folder and names the rule in their comment."""
    lines = _call("squeue", "--me", "--noheader", "--format=%A|%k|%Z").splitlines()
    folder, numbers = root.resolve(), []
    for line in lines:
        number, comment, where = line.split("|", 2)
        if comment.startswith("rule_") and Path(where).resolve() == folder:
            numbers.append(number)
    return list(dict.fromkeys(numbers))


def _in_kubernetes(root: Path) -> list[str]:
    """The same in Kubernetes: `submit` labels jobs with a hash of the folder."""
    label = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    active = "jsonpath={range .items[?(@.status.active)]}{.metadata.name} {end}"
    return _call(
        "kubectl", "get", "jobs", f"--selector=cdred-checkout={label}", "-o", active
    ).split()


def _call(*command: str) -> str:
    """The output of a cluster's command. Raises CdredError with its message when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        message = " ".join((done.stderr or done.stdout).split())
        raise CdredError(f"{command[0]}: {message or f'exit status {done.returncode}'}")
    return done.stdout


def is_job() -> bool:
    """Tell whether this process is a job on a node of a cluster, whose children end with it."""
    return JOB_ID in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ
