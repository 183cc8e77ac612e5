# What the rules share: the validated plan, its markers, and where things are. What is to run is
# decided in cdred/engines/snakemake.py.

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

# A cluster node parses this without the package installed.
sys.path.insert(0, workflow.basedir)

from cdred.engines import snakemake as engine
from cdred.engines.snakemake import refuse
from cdred.errors import CdredError, reason
from cdred.plan import Plan
from cdred.plan.description import describe
from cdred.report import catalogue
from cdred.system import cluster
from cdred.system import container as containers
from cdred.system import machine
from cdred.system.locks import IN_USE, hold_checkout

if config:
    refuse(
        "--config and --configfile are not read: DVC would not see them; "
        "edit params.yaml or choose an experiment with `cdred use`"
    )

engine.find_commands_of(sys.executable)
try:
    PLAN = Plan.load()
    methods = map(str, workflow.deployment_settings.deployment_method)
    IN_CONTAINER = "apptainer" in methods
    if IN_CONTAINER:
        containers.enter(PLAN.config.compute.container)
    VIEW = engine.View(PLAN)
    REPORT = catalogue.files(describe(PLAN))  # what a report of this experiment holds
    if workflow.is_main_process:
        VIEW.prepare()
except (CdredError, OSError) as exc:
    refuse(reason(exc))

THREADS = PLAN.config.compute.threads
# The profile says how many GPUs jobs may use at once, and on a cluster which rules get one.
DEVICE = PLAN.config.compute.device
GPU = int(DEVICE == "cuda" or (DEVICE == "auto" and machine.has_nvidia()))


def sources(stage):
    """The markers of the artifacts that a job reads."""
    return lambda w: waits_for(VIEW.inputs(VIEW.job(stage, w)))


def waits_for(markers):
    return [marker if counts else ancient(marker) for marker, counts in markers]


def files_of_report():
    """The files of the report that `snakemake --report` shows."""
    return [str(PLAN.report.path / item.file) for item in REPORT]


# Used only with `--sdm apptainer` (or `--use-singularity`): the image of the dependencies.
container: PLAN.config.compute.container


wildcard_constraints:
    task="[A-Za-z0-9_-]+",
    entry="[a-z0-9_-]+",
    seed=r"\d+",
    digest="[0-9a-f]+",


# ---- one Snakemake at a time, and a cluster's jobs --------------------------------------------

HELD = contextlib.ExitStack()  # until the process ends


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
    if workflow.is_main_process and not HELD.enter_context(hold_checkout(wait=2)):
        refuse(IN_USE)
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
    asked = workflow.dag_settings
    partial = asked.targets or asked.until or asked.omit_from or asked.batch
    if workflow.is_main_process and not partial:
        try:
            if reason := engine.unfinished():
                refuse(reason)
        except CdredError as exc:
            refuse(exc)


onerror:
    if on_cluster():
        text = "".join(Path(file).read_text(errors="replace") for file in log)
        why = cluster.never_started(text, Path())
        if why:
            say(why)
    deliver()
