"""Tracking against a real MLflow: complete, and never a reason for a stage to fail or differ."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import Project
from support.servers import ALONE, QUIET, free_port, wait_until

from cdred.report.svg import COLOURS
from cdred.tracking.delivery import Delivery

TASK = "cartpole-balance"
EXPERT = f"artifacts/experts/{TASK}/expert"
MAKE_EXPERT = ("cdred", "expert", "--task", TASK, "--expert", "expert", "--quiet")
IMITATE = ("cdred", "imitate", "--task", TASK, "--run", "cdred", "--seed", "0", "--quiet")
QUERY = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
found = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        tags = run.data.tags
        history = {name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                   for name in run.data.metrics}
        found.append({"experiment": experiment.name, "name": run.info.run_name, "tags": tags,
                      "status": run.info.status, "id": run.info.run_id, "metrics": history,
                      "params": run.data.params,
                      "files": [f.path for f in client.list_artifacts(run.info.run_id)],
                      "datasets": [d.dataset.name for d in run.inputs.dataset_inputs]})
print("RUNS " + json.dumps(found))
"""


def runs(project: Project, uri: str) -> list[dict]:
    out = project.run("python", "-c", QUERY, uri)
    return json.loads(next(x for x in out.splitlines() if x.startswith("RUNS "))[5:])


@pytest.fixture(scope="module")
def tracked(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that tracks, with an expert and its demonstrations made without tracking."""
    root = tmp_path_factory.mktemp("tracking") / "project"
    project = finished.copy(root, "experts", "demos")
    project.edit("params.yaml", "tracking: none", "tracking: mlflow")
    project.save()
    return project


def spooled(project: Project) -> list[Path]:
    return list((project.root / ".cdred/mlflow").glob("*.jsonl"))


def test_a_run_arrives_by_itself_with_all_that_it_is(tracked: Project) -> None:
    """Embedded: no server, no waiting; a process of its own brings it into mlflow.db."""
    tracked.run(*IMITATE)
    wait_until(lambda: not spooled(tracked))
    found = {run["name"]: run for run in runs(tracked, f"sqlite:///{tracked.root}/mlflow.db")}
    run = found[f"cdred, seed 0: imitate {TASK}"]
    assert run["experiment"] == "toy" and run["status"] == "FINISHED"
    assert run["tags"]["mlflow.runColor"] == COLOURS[0]
    manifest = tracked.manifest(f"artifacts/agents/{TASK}/cdred/seed_0")
    assert run["tags"]["cdred.digest"] == manifest["digest"]
    assert next(iter(manifest["inputs"])) in run["tags"]["cdred.parents"]
    assert run["tags"]["cdred.artifact"] == f"artifacts/agents/{TASK}/cdred/seed_0"
    commit = tracked.run("git", "rev-parse", "HEAD").strip()
    assert run["tags"]["mlflow.source.git.commit"].startswith(commit)
    assert run["params"]["zeta"] == "0.8" and run["params"]["seed"] == "0"
    assert run["datasets"] == [f"{TASK}/expert-2"]
    # Every row of the artifact's tables, as metrics over steps.
    for table, prefix in (("metrics", "train"), ("curve", "curve")):
        rows = tracked.table(f"artifacts/agents/{TASK}/cdred/seed_0/{table}.csv")
        for name in set(rows[0]) - {"step"}:
            expected = sorted((int(row["step"]), float(row[name])) for row in rows)
            assert sorted(map(tuple, run["metrics"][f"{prefix}/{name}"])) == expected
    assert run["metrics"]["system/updates_per_second"][-1][1] > 0
    samples = [step for step, _ in run["metrics"]["system/cpu_utilization_percentage"]]
    assert samples and sorted(samples) == list(range(len(samples)))
    assert run["metrics"]["system/system_memory_usage_megabytes"][-1][1] > 0


def test_the_report_is_among_its_run_s_files(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    project.edit("params.yaml", "tracking: none", "tracking: mlflow")
    shutil.rmtree(project.root / "reports")
    project.run("cdred", "report", "--quiet")
    wait_until(lambda: not spooled(project))
    (run,) = runs(project, f"sqlite:///{project.root}/mlflow.db")
    assert run["name"] == "toy: report" and run["files"] == ["report.html"]
    report = (project.root / "reports/toy/report.html").read_bytes()
    (copy,) = (project.root / "mlruns").rglob("report.html")
    assert copy.read_bytes() == report


def test_a_spool_uploads_no_file_but_those_of_artifacts(tracked: Project, tmp_path: Path) -> None:
    secret = tmp_path / "report.html"
    secret.write_text("secret")
    (tracked.root / "report.html").write_text("secret")
    (tracked.root / "artifacts/report.html").symlink_to(secret)
    files = [str(secret), "report.html", "artifacts/report.html", "params.yaml",
             "artifacts/../report.html", f"{EXPERT}/manifest.json"]  # fmt: skip
    lines = [
        {"kind": "run", "time": 1, "pid": 1, "host": "h", "experiment": "theirs", "name": "n",
         "params": {}, "tags": {}, "dataset": None},
        {"kind": "end", "time": 2, "status": "FINISHED", "tags": {}, "files": files},
    ]  # fmt: skip
    spool = tracked.root / f".cdred/mlflow/local-{16 * '0'}-1.jsonl"
    spool.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tracked.attempt("cdred", "track", "--deliver")  # or a process that is at it already
    wait_until(lambda: not spooled(tracked))
    found = runs(tracked, f"sqlite:///{tracked.root}/mlflow.db")
    (run,) = [run for run in found if run["experiment"] == "theirs"]
    assert run["status"] == "FINISHED" and run["files"] == []
    (tracked.root / "artifacts/report.html").unlink()


def test_cost_shows_energy_where_it_was_counted(tracked: Project) -> None:
    assert "energy" not in tracked.run("cdred", "cost")
    log = tracked.root / f"logs/experts/{TASK}/expert/runtime.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    rows[-1]["energy_joules"] = 12_345.6
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    head, *lines = tracked.run("cdred", "cost").splitlines()
    assert "energy" in head and "12.3 kJ" in lines[-1]
    (expert,) = [line for line in lines if line.startswith("artifacts/experts/")]
    assert expert.index("12.3 kJ") == head.index("energy")


def test_a_dead_server_changes_nothing_and_gets_all_of_it_later(
    tracked: Project, tmp_path: Path
) -> None:
    untracked = tracked.manifest(EXPERT)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    tracked.run("rm", "-r", EXPERT)
    tracked.run(*MAKE_EXPERT, MLFLOW_TRACKING_URI=uri)
    assert tracked.manifest(EXPERT) == untracked  # the same bytes as without tracking
    assert len(spooled(tracked)) == 1
    line = tracked.attempt("cdred", "track", "--deliver", MLFLOW_TRACKING_URI=uri)
    assert line.returncode == 2
    assert line.stderr.startswith("cdred: ") and len(line.stderr.splitlines()) == 1
    assert "all is kept in .cdred/mlflow" in line.stderr or "is delivering" in line.stderr
    assert "1 runs wait" in tracked.run("cdred", "track")

    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
         "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
         "--default-artifact-root", str(tmp_path / "artifacts")],
        env=os.environ | ALONE, start_new_session=True, **QUIET,
    )  # fmt: skip
    try:
        wait_until(lambda: reachable(port))
        # Whoever comes first delivers: the process that has tried since, or this command.
        wait_until(lambda: not spooled(tracked) or delivered(tracked, uri))
        assert "nothing waits" in tracked.run("cdred", "track")
        (run,) = [r for r in runs(tracked, uri) if r["name"] == f"expert: expert {TASK}"]
        assert run["status"] == "FINISHED" and len(run["metrics"]["train/grad_norm"]) == 6
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def delivered(project: Project, uri: str) -> bool:
    return project.attempt("cdred", "track", "--deliver", MLFLOW_TRACKING_URI=uri).returncode == 0


def reachable(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_a_killed_and_resumed_job_is_one_run(tracked: Project) -> None:
    """Its metrics are there once, whatever was sent before the kill."""
    tracked.edit("params.yaml", "save_every: 60", "save_every: 0")
    shutil_target = f"artifacts/agents/{TASK}/cdred/seed_0"
    tracked.run("rm", "-r", shutil_target)
    before = len(spooled(tracked))
    started = tracked.start(*IMITATE)
    wait_until(lambda: any('"train/' in f.read_text() for f in spooled(tracked)))
    started.kill()
    started.wait()
    assert len(spooled(tracked)) == before + 1
    tracked.run(*IMITATE)
    wait_until(lambda: not spooled(tracked))
    found = [
        run
        for run in runs(tracked, f"sqlite:///{tracked.root}/mlflow.db")
        if run["name"] == f"cdred, seed 0: imitate {TASK}"
    ]
    assert len(found) == 2  # the first test's, and this one
    for run in found:
        assert run["status"] == "FINISHED"
        assert len(run["metrics"]["train/grad_norm"]) == 6


def test_a_spool_that_cannot_be_written_costs_a_line_in_the_log(tracked: Project) -> None:
    spool = tracked.root / ".cdred/mlflow"
    wait_until(lambda: not spooled(tracked))
    spool.rename(spool.with_name("aside"))
    spool.write_text("in the way")
    try:
        tracked.run("rm", "-r", EXPERT)
        done = tracked.attempt(*MAKE_EXPERT[:-1])
    finally:
        spool.unlink()
        spool.with_name("aside").rename(spool)
    assert done.returncode == 0
    assert done.stderr.count("tracking stopped, the job goes on") == 1


def test_the_files_of_a_checkout_that_was_moved_lie_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow keeps absolute places."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    delivery = Delivery(before)
    experiment = delivery.experiment("toy")
    run = delivery.client.create_run(experiment).info.run_id
    before.rename(after)
    client = Delivery(after).client
    place = (after / "mlruns").as_uri()
    assert client.get_experiment(experiment).artifact_location == place
    (tmp_path / "film.mp4").write_bytes(b"film")
    client.log_artifact(run, str(tmp_path / "film.mp4"))
    assert client.get_run(run).info.artifact_uri == f"{place}/{run}/artifacts"
    assert (after / "mlruns" / run / "artifacts/film.mp4").read_bytes() == b"film"
    assert not before.exists()
