# What the rules share: the validated plan, one stamp a job, and where things are.

import os
import shutil
import subprocess
import sys
from pathlib import Path

# A cluster node parses this without the package installed.
sys.path.insert(0, workflow.basedir)

from cdred import plan as planning
from cdred.description import describe
from cdred.errors import CdredError
from cdred.report import catalogue
from cdred.system import cluster
from cdred.system import container as containers
from cdred.system import machine


def refuse(message):
    print(f"cdred: {message}", file=sys.stderr)
    sys.exit(2)


if config:
    refuse(
        "--config and --configfile are not read: DVC would not see them; "
        "edit params.yaml or choose an experiment with `cdred use`"
    )

planning.find_commands_of(sys.executable)
try:
    if workflow.is_main_process and not workflow.dryrun:
        planning.hold_checkout()
    PLAN = planning.Plan.load()
    methods = map(str, workflow.deployment_settings.deployment_method)
    IN_CONTAINER = "apptainer" in methods
    if IN_CONTAINER:
        containers.enter(PLAN.config.compute.container)
    for job in PLAN.jobs:
        planning.check_target(job.path)
    STAMPS = planning.write_stamps(PLAN)
except CdredError as exc:
    refuse(exc)
except OSError as exc:
    refuse(f"{exc.filename}: cannot be written: {exc.strerror}")

# Jobs to run, decided once from manifests: no time of any file matters.
STALE = {job.path for job in PLAN.jobs if not job.up_to_date()}
THREADS = PLAN.config.compute.threads
# The profile says how many GPUs jobs may use at once, and on a cluster which rules get one.
DEVICE = PLAN.config.compute.device
GPU = int(DEVICE == "cuda" or (DEVICE == "auto" and machine.has_nvidia()))


def artifact(stage, task="{task}", entry="{entry}", seed="{seed}"):
    """The manifest of an artifact: its last file, and Snakemake's sign that it is there."""
    return str(planning.output_path(stage, task, entry, seed) / "manifest.json")


def report_file(name):
    """A file that every report has, shown by `snakemake --report`. None may be in a folder: Snakemake
    makes it first, and the stage refuses a directory with something in it that is not its own.
    """
    return str(planning.output_path("report", entry="{entry}") / name)


def logs(stage, name):
    return str(planning.log_path(stage, "{task}", "{entry}", "{seed}") / name)


def stamp(stage):
    """A file that is newer than everything if the job is to run, older if not."""
    return lambda w: str(STAMPS[job_of(stage, w).path])


def sources(stage):
    """The manifests of the artifacts that a job reads; their times count only if they are stale."""

    def manifests(w):
        paths = [source.path for source in job_of(stage, w).inputs]
        files = [(path, str(path / "manifest.json")) for path in paths]
        return [file if path in STALE else ancient(file) for path, file in files]

    return manifests


def job_of(stage, w):
    return PLAN.job(stage, w.get("task", ""), w.entry, w.get("seed", 0))


# Used only with `--sdm apptainer` (or `--use-singularity`): the image of the dependencies.
container: PLAN.config.compute.container


wildcard_constraints:
    task="[a-z0-9-]+",
    entry="[a-z0-9_-]+",
    seed=r"\d+",


# ---- on a cluster -----------------------------------------------------------------------------


def on_cluster():
    return workflow.is_main_process and not workflow.local_exec


def tracks():
    return PLAN.config.compute.tracking == "mlflow"


def say(text):
    print(f"cdred: {text}", file=sys.stderr)


def deliver():
    """What nodes could not tell MLflow, as what a job starts ends with it."""
    if on_cluster() and tracks() and shutil.which("cdred"):
        # Says itself if it fails, which costs nothing: all is kept.
        subprocess.run(["cdred", "track", "--deliver"])


onstart:
    if on_cluster():
        try:
            name = workflow.executor_plugin.name
            submit = getattr(workflow.executor_settings, "submit_cmd", None) or ""
            cluster.prepare(name, submit, IN_CONTAINER, say)
        except CdredError as exc:
            refuse(exc)
        if tracks() and not os.environ.get("MLFLOW_TRACKING_URI"):
            say(
                "MLFLOW_TRACKING_URI is not set: what jobs track is entered into mlflow.db at the "
                "end, by this process (docs/clusters.md)"
            )


onsuccess:
    deliver()


onerror:
    if on_cluster():
        text = "".join(Path(file).read_text(errors="replace") for file in log)
        why = cluster.never_started(text, Path())
        if why:
            say(why)
    deliver()
