"""Tracking and registering through real MLflow servers: SQLite and PostgreSQL, artifacts on S3."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from support.project import CHECKOUT, Project
from support.servers import MlflowServer, client_of, free_port, postgresql, s3, wait_until

from cdred import Agent, methods
from cdred.evaluation import evaluate
from cdred.tracking.pyfunc_model import AgentModel

TASK = "cartpole-balance"
EXPERT = f"artifacts/experts/{TASK}/expert"
AGENT = f"artifacts/agents/{TASK}/cdred/seed_0"
BC = f"artifacts/agents/{TASK}/bc/seed_0"
EVALUATION = f"artifacts/evaluations/{TASK}/cdred/seed_0/evaluation.json"
MAKE_EXPERT = ("cdred", "expert", "--task", TASK, "--expert", "expert", "--quiet")
MODEL = f"cdred-{TASK}-cdred"

# A job by its path that tells rows of metrics FIRST to LAST for each such line on standard input.
JOB = """
import sys
from cdred.plan import Plan
from cdred.tracking.spool import Tracker
plan = Plan.load()
(job,) = [job for job in plan.jobs if job.path.as_posix() == sys.argv[1]]
tracker = Tracker(plan, job)
tracker.start("cpu")
for line in sys.stdin:
    first, last = map(int, line.split())
    for k in range(first, last):
        tracker.row("metrics", {"step": k, "loss": k / 7, "q": -k})
        tracker.sample({"cpu_utilization_percentage": k})
    print("told", flush=True)
tracker.end("FINISHED")
"""
ROWS = 150


class TrackedJob:
    """A process that tracks a job of a project."""

    def __init__(self, project: Project, path: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            ["python", "-c", JOB, path], cwd=project.root, env=project.environment | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._input = self._process.stdin

    def tell(self, first: int, last: int) -> None:
        assert self._input is not None
        self._input.write(f"{first} {last}\n")
        self._input.flush()

    def told(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "told\n"

    def end(self) -> None:
        assert self._input is not None
        self._input.close()
        assert self._process.wait() == 0


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with s3() as url:
        yield url


@pytest.fixture(scope="module")
def on_postgresql(store: str) -> Iterator[MlflowServer]:
    with postgresql() as uri:
        server = MlflowServer(uri, store)
        yield server
        server.kill()


@pytest.fixture(scope="module")
def on_sqlite(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/mlflow.db", store)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("servers") / "project")
    project.edit("params.yaml", "tracking: none", "tracking: mlflow")
    project.save()
    return project


def spooled(project: Project) -> list[Path]:
    return list((project.root / ".cdred/mlflow").glob("*.jsonl"))


def all_runs(server: MlflowServer, experiment: str = "toy") -> list[Run]:
    client = MlflowClient(server.uri)
    (found,) = client.search_experiments(filter_string=f"name = '{experiment}'")
    return list(client.search_runs([found.experiment_id]))


def is_whole(server: MlflowServer, run: Run) -> bool:
    """Tell whether a run of `TrackedJob` has each of ROWS rows exactly once."""
    history = MlflowClient(server.uri).get_metric_history
    for name, value in (
        ("train/loss", lambda k: k / 7), ("train/q", lambda k: -k),
        ("system/cpu_utilization_percentage", lambda k: k),
    ):  # fmt: skip
        found = sorted((m.step, m.value) for m in history(run.info.run_id, name))
        if found != [(k, value(k)) for k in range(ROWS)]:
            return False
    return run.info.status == "FINISHED"


@pytest.mark.parametrize(
    "backend", [pytest.param("on_sqlite", marks=pytest.mark.slow), "on_postgresql"]
)
def test_parallel_jobs_of_two_checkouts_lose_nothing(
    backend: str, template: Project, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each checkout has a process that delivers: the experiment is made once all the same."""
    server = request.getfixturevalue(backend)
    checkouts = [template.copy(tmp_path / name) for name in ("mine", "theirs")]
    paths = [EXPERT, BC, AGENT]
    jobs = [
        TrackedJob(checkout, path, MLFLOW_TRACKING_URI=server.uri)
        for checkout in checkouts
        for path in paths
    ]
    for job in jobs:
        job.tell(0, ROWS)
    for job in jobs:
        job.end()
    wait_until(lambda: not any(spooled(checkout) for checkout in checkouts))
    runs = all_runs(server)
    assert sorted(run.info.run_name.split(":")[0] for run in runs) == sorted(
        2 * ["expert", "bc, seed 0", "cdred, seed 0"]
    )
    for run in runs:
        assert is_whole(server, run)


def test_a_server_that_hangs_and_dies_in_mid_run_gets_all_of_it_once(
    on_sqlite: MlflowServer, template: Project, tmp_path: Path
) -> None:
    project = template.copy(tmp_path / "project")
    project.edit("params.yaml", "name: toy", "name: unlucky")
    job = TrackedJob(
        project, BC, MLFLOW_TRACKING_URI=on_sqlite.uri, MLFLOW_HTTP_REQUEST_TIMEOUT="4"
    )
    on_sqlite.suspend()
    job.tell(0, 50)
    job.told()  # it does not wait for the server
    trouble = project.root / ".cdred/mlflow/error.txt"
    wait_until(trouble.exists)
    on_sqlite.go_on()  # and does now what it was asked for before the caller gave up
    (spool,) = spooled(project)
    wait_until(spool.with_suffix(".sent").exists)
    on_sqlite.kill()
    job.tell(50, ROWS)
    job.told()
    wait_until(trouble.exists)
    on_sqlite.start()
    job.end()
    wait_until(lambda: not spooled(project))
    (run,) = all_runs(on_sqlite, "unlucky")
    assert is_whole(on_sqlite, run)


@pytest.fixture(scope="module")
def evaluated(
    finished: Project, on_postgresql: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """An agent and its evaluation, both tracked by the server; its expert is not evaluated."""
    root = tmp_path_factory.mktemp("evaluated") / "project"
    project = finished.copy(root, "experts", "demos")
    project.edit("params.yaml", "tracking: none", "tracking: mlflow")
    for command in (
        ("cdred", "imitate", "--task", TASK, "--run", "cdred", "--seed", "0", "--quiet"),
        ("cdred", "evaluate", "--task", TASK, "--run", "cdred", "--seed", "0", "--quiet"),
    ):
        project.run(*command, MLFLOW_TRACKING_URI=on_postgresql.uri)
    wait_until(lambda: not spooled(project))
    shutil.copy(CHECKOUT / "requirements.lock", project.root)
    return project


@pytest.mark.slow
def test_a_stage_beside_a_server_that_hangs_makes_the_same_bytes(
    on_sqlite: MlflowServer, evaluated: Project, template: Project, tmp_path: Path
) -> None:
    project = template.copy(tmp_path / "project")
    on_sqlite.suspend()
    try:
        project.run(*MAKE_EXPERT, MLFLOW_TRACKING_URI=on_sqlite.uri)
    finally:
        on_sqlite.go_on()
    assert project.manifest(EXPERT) == evaluated.manifest(EXPERT)


def test_a_registered_agent_comes_back_through_the_server(
    evaluated: Project, on_postgresql: MlflowServer, store: str, tmp_path: Path
) -> None:
    uri = {"MLFLOW_TRACKING_URI": on_postgresql.uri}
    output = evaluated.run("cdred", "register", AGENT, **uri)  # and no warnings
    assert (
        output.startswith(f"registered  models:/{MODEL}@seed-0, version 1")
        and output.count("\n") == 1
    )
    assert "unchanged" in evaluated.run("cdred", "register", AGENT, **uri)
    client = MlflowClient(on_postgresql.uri)
    (version,) = client.search_model_versions(f"name = '{MODEL}'")
    digest = evaluated.manifest(AGENT)["digest"]
    mean = json.loads((evaluated.root / EVALUATION).read_text())["return_mean"]
    assert version.tags["cdred.digest"] == digest and version.tags["seed"] == "0"
    assert float(version.tags["return_mean"]) == pytest.approx(mean, rel=1e-5)
    run = client.get_run(version.run_id)
    assert run.info.run_name == f"cdred, seed 0: imitate {TASK}" and run.info.status == "FINISHED"
    assert run.data.tags["cdred.digest"] == digest

    # On S3 lie text and safetensors alone, nothing that is unpickled.
    model_id = version.source.rsplit("/", 1)[1]
    listed = client_of(store).list_objects_v2(Bucket="mlflow", Prefix="artifacts")["Contents"]
    names = [Path(item["Key"]) for item in listed if f"/{model_id}/" in item["Key"]]
    own = {path.name for path in names if "code" not in path.parts}
    assert own == {
        "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "pyfunc_model.py",
        "input_example.json", "serving_input_example.json", "model.safetensors", "config.json",
    }  # fmt: skip
    assert {path.suffix for path in names if "code" in path.parts} <= {
        ".py",
        ".j2",
        ".js",
        ".css",
        ".csv",
        ".typed",
    }

    # Somebody else: another directory, no checkout, only the server's address.
    agent = Agent.from_pretrained(evaluated.root / AGENT / "pretrained_model")
    episodes = evaluate(agent, TASK, 2, 0)
    np.save(tmp_path / "obs.npy", episodes[0].obs)
    done = subprocess.run(
        ["python", "-c", LOAD, f"models:/{MODEL}@seed-0"], cwd=tmp_path, capture_output=True,
        env={**evaluated.environment, **uri, "PYTHONPATH": ""}, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "/code/cdred/" in done.stdout  # the model brings its code
    torch.manual_seed(7)
    assert np.array_equal(np.load(tmp_path / "action.npy"), agent.act(episodes[0].obs))
    first = np.stack([episode.obs[0] for episode in episodes])
    assert np.array_equal(np.load(tmp_path / "example.npy"), first)


LOAD = """
import sys, mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
np.save("action.npy", model.predict(np.load("obs.npy"), params={"seed": 7}))
np.save("example.npy", model.input_example)
inputs, outputs = model.metadata.signature.inputs, model.metadata.signature.outputs
assert inputs.inputs[0].shape == (-1, 5) and outputs.inputs[0].shape == (-1, 1)
assert np.array_equal(model.predict(model.input_example), model.predict(model.input_example))
import cdred
print(cdred.__file__)
"""


@pytest.mark.parametrize(
    ("method", "changed"),
    [("cdred", {}), ("cdred", {"mpc": True}), ("cdred", {"eval_policy": "mean"}), ("bc", {})],
)
def test_predict_is_act_from_a_seed(method: str, changed: dict[str, Any], tmp_path: Path) -> None:
    """By samples, by planning and by the mean; nothing is left from one call to the next."""
    sizes = {"latent_dim": 16, "plan_samples": 100}
    settings = methods.find(method).settings
    values = {k: v for k, v in sizes.items() if k in settings.model_fields} | changed
    agent = Agent.create(TASK, method, (5,), 1, settings.preset("small", **values)).eval()
    agent.save(tmp_path)
    model = AgentModel()
    model.load_context(SimpleNamespace(artifacts={"agent": str(tmp_path)}))
    obs = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    before = torch.get_rng_state()
    found = [model.predict(None, obs, {"seed": seed}) for seed in (1, 2, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    agent.reset()
    assert np.array_equal(found[0], agent.act(obs)) and np.array_equal(found[0], found[2])


def test_what_cannot_be_registered_is_told_in_one_line(
    evaluated: Project, on_postgresql: MlflowServer, template: Project, tmp_path: Path
) -> None:
    up = {"MLFLOW_TRACKING_URI": on_postgresql.uri}
    before = MlflowClient(on_postgresql.uri).search_registered_models()
    scripted = template.copy(tmp_path / "scripted")
    scripted.run("cdred", "use", "config/metaworld_small.yaml")
    without = (
        "import sys; sys.modules['mlflow'] = None; from cdred.cli import main; sys.exit(main())"
    )
    for project, command, environment, output in (
        (evaluated, ("cdred", "register", "nowhere"), up, "not an agent or expert"),
        (evaluated, ("cdred", "register", EXPERT), up, "evaluations/cartpole-balance/expert"),
        (evaluated, ("cdred", "register"), up, "not up to date"),
        (scripted, ("cdred", "register", "artifacts/experts/mw-reach/scripted"), up, "no weights"),
        (evaluated, ("python", "-c", without, "register", AGENT), up, "mlflow is not installed"),
        (evaluated, ("cdred", "register", AGENT),
         {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}, "cannot be reached"),
    ):  # fmt: skip
        done = project.attempt(*command, **environment)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("cdred: "), done.stderr
        assert output in done.stderr
    assert MlflowClient(on_postgresql.uri).search_registered_models() == before
