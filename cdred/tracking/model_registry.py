"""`cdred register`: evaluated agents as versions of models in MLflow's registry."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.envs.tasks import file_name
from cdred.errors import CdredError, counted
from cdred.plan import Job, Plan

LOCK = "requirements.lock"
NEEDED = ("huggingface-hub", "mlflow", "numpy", "safetensors", "torch", "tqdm", "zuko")
CODE = Path(__file__).with_name("pyfunc_model.py")
PACKAGE = Path(__file__).parents[1]
EXAMPLES = 2  # observations in the model's input example
# Beside delivery's: a model is larger than a batch of metrics.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "120",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def choose(plan: Plan, artifacts: list[Path]) -> list[Job]:
    """The jobs of `artifacts`; default: every agent and expert of the experiment with weights.

    Raises CdredError when one is not of the experiment, has no weights, or it or its evaluation is
    missing, stale or damaged.
    """
    by_path = {job.path: job for job in plan.jobs if job.stage in ("expert", "imitate")}
    jobs = []
    for path in artifacts:
        if path not in by_path:
            raise CdredError(
                f"{path}: not an agent or expert of experiment {plan.config.experiment.name!r}; "
                f"`cdred status` lists its artifacts"
            )
        if not _has_weights(plan, by_path[path]):
            raise CdredError(f"{path}: a scripted expert has no weights to register")
        jobs.append(by_path[path])
    jobs = jobs or [job for job in by_path.values() if _has_weights(plan, job)]
    for job in jobs:
        for needed in (job, plan.evaluate(job)):
            if not needed.up_to_date(plan.root):
                raise CdredError(
                    f"{needed.path}: not up to date; `snakemake --cores all` or `dvc repro` "
                    f"makes it"
                )
            manifest.verify(plan.root / needed.path, needed.command)
    return jobs


def _has_weights(plan: Plan, job: Job) -> bool:
    return job.stage == "imitate" or plan.config.experts[job.entry].source != "scripted"


def model_name(job: Job) -> str:
    """One model for all seeds, which are its versions: `cdred-cup-catch-bc`."""
    return f"cdred-{file_name(job.task)}-{job.entry}"


def register(plan: Plan, jobs: list[Job], say: Callable[[str], None]) -> None:
    """Register a version for each agent whose digest has none yet.

    Raises CdredError when MLflow is missing, cannot be reached or refuses.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise CdredError("register: mlflow is not installed here (`make setup` does)")
    from cdred.tracking.delivery import Delivery, short

    requirements = pins(plan.root / LOCK)
    _refuse_undelivered(plan, jobs)
    patience = {name: value for name, value in SETTINGS.items() if name not in os.environ}
    with contextlib.redirect_stdout(sys.stderr):  # MLflow's own remarks
        try:
            delivery = Delivery(plan.root)
            delivery.client.search_experiments(max_results=1)
        except Exception as exc:
            raise CdredError(f"register: MLflow cannot be reached: {short(exc)}") from None
    os.environ.update(patience)
    for job in jobs:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                message = _register(plan, job, delivery, requirements)
        except CdredError:
            raise
        except Exception as exc:
            raise CdredError(
                f"{job.path}: MLflow did not take it; the same command goes on: {short(exc)}"
            ) from None
        say(message)


def _register(plan: Plan, job: Job, delivery: Any, requirements: list[str]) -> str:
    from mlflow.exceptions import MlflowException

    from cdred.learning import results as results_file

    client, name = delivery.client, model_name(job)
    results = results_file.read(plan.root / plan.evaluate(job).path)
    tags = {
        "cdred.digest": job.digest, "cdred.artifact": job.path.as_posix(), "task": job.task,
        "run": job.entry, "seed": str(job.seed), "method": results.method,
        "return_mean": f"{results.return_mean:.6g}", "episodes": str(len(results.episodes)),
    }  # fmt: skip
    with contextlib.suppress(MlflowException):  # it is there already, or the next call tells why
        client.create_registered_model(name, description=f"Agents of {job.task}, made by cdred")
    known = client.search_model_versions(f"name = '{name}'")
    same = [v for v in known if v.tags.get("cdred.digest") == job.digest]
    if same:
        version = same[0]
        for key, value in tags.items():  # evaluated anew, perhaps
            if version.tags.get(key) != value:
                client.set_model_version_tag(name, version.version, key, value)
    else:
        run_id, model_id = _log(plan, job, delivery, requirements, tags)
        version = client.create_model_version(
            name, f"models:/{model_id}", run_id, tags, model_id=model_id,
            description=f"{results.method} on {job.task}, seed {job.seed}: return "
            f"{results.return_mean:.1f} over {counted(len(results.episodes), 'episode')}",
        )  # fmt: skip
    alias = f"seed-{job.seed}"
    client.set_registered_model_alias(name, alias, version.version)
    return (
        f"{'unchanged ' if same else 'registered'}  models:/{name}@{alias}, version "
        f"{version.version}: {job.path}, return {results.return_mean:.1f}"
    )


def _log(
    plan: Plan, job: Job, delivery: Any, requirements: list[str], tags: dict[str, str]
) -> tuple[str | None, str]:
    """Log the model, under the run that trained it if that was tracked; returns both ids."""
    import mlflow

    from cdred.learning.agent import FOLDER, Agent
    from cdred.tracking.delivery import tracking_uri

    mlflow.set_tracking_uri(tracking_uri(plan.root))
    run = _run(delivery.client, job)
    experiment = plan.config.experiment.name
    mlflow.set_experiment(
        experiment_id=run.info.experiment_id if run else delivery.experiment(experiment)
    )
    agent = Agent.from_pretrained(plan.root / job.path)
    example = first_observations(plan, agent)
    logged = mlflow.models.Model.log(
        artifact_path=None, name=model_name(job), flavor=mlflow.pyfunc,
        run_id=run.info.run_id if run else None, tags=tags, step=int(job.params.get("steps", 0)),
        python_model=str(CODE), code_paths=[str(PACKAGE)],
        artifacts={"agent": str(plan.root / job.path / FOLDER)},
        signature=signature(example, agent.action_dim), input_example=example,
        pip_requirements=requirements,
    )  # fmt: skip
    return (run.info.run_id if run else None), logged.model_id


def _run(client: Any, job: Job) -> Any:
    """The tracked run that made the agent, the newest if there are several; None without."""
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(
        experiments, f"tags.`cdred.digest` = '{job.digest}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"], max_results=1,
    )  # fmt: skip
    return runs[0] if runs else None


def _refuse_undelivered(plan: Plan, jobs: list[Job]) -> None:
    """Refuse agents whose runs are not delivered: they could not be linked later."""
    from cdred.tracking import delivery
    from cdred.tracking.spool import SPOOL

    for job in jobs:
        if any(job.digest[:16] in file.name for file in delivery.waiting(plan.root)):
            raise CdredError(f"{job.path}: its run waits in {SPOOL}; `cdred track --deliver` first")


def first_observations(plan: Plan, agent: Any) -> Any:
    """The agent's first observations in its evaluation: the model's input example."""
    from cdred.envs.make import make_vec
    from cdred.learning.seeding import derive_seeds

    seeds = derive_seeds(plan.config.evaluation.seed, "evaluation", EXAMPLES)
    with contextlib.closing(make_vec(agent.task, EXAMPLES, agent.obs)) as envs:
        return envs.reset(seed=seeds)[0]  # type: ignore[arg-type]  # one for each


def signature(obs: Any, action_dim: int) -> Any:
    """The model's signature: observations (-1, *obs_shape) and a seed in, actions (-1, action_dim)
    out."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(obs.dtype, (-1, *obs.shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, action_dim))]),
        params=ParamSchema([ParamSpec("seed", DataType.long, 0)]),
    )


def pins(lock: Path) -> list[str]:
    """The versions in the lock of the packages that the model needs.

    Raises CdredError when the lock is missing or lists none.
    """
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as exc:
        raise CdredError(f"{lock}: cannot be read: {exc.strerror}") from None
    versions = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", text, re.MULTILINE))
    if missing := [name for name in NEEDED if name not in versions]:
        raise CdredError(f"{lock}: lists no {missing[0]}")
    return [f"{name}=={versions[name]}" for name in NEEDED]
