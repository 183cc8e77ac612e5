"""`cdred demo` runs the experiment and tells a person about it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import Project
from support.servers import wait_until

from cdred.plan import Plan
from cdred.run import demo

EVALUATION = "artifacts/evaluations/cartpole-balance/bc/seed_0"
AGENT = "artifacts/agents/cartpole-balance/bc/seed_0"


def is_group(number: int) -> bool:
    """Tell whether a process of the group is there."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def table(output: str) -> dict[str, list[str]]:
    """The rows of the table of results, by their first cell."""
    lines = output.split("failed episodes\n")[1].split("An episode failed")[0].splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_what_is_missing_is_made_and_told(finished: Project, tmp_path: object) -> None:
    project = finished.copy(tmp_path / "project")
    project.run("rm", "-r", EVALUATION, "reports/toy")
    output = project.run("cdred", "demo")
    assert "Experiment toy (cartpole-balance): 2 jobs to run, 6 are up to date." in output
    assert "1 x evaluations: bc" in output and "as measured here: about" in output
    assert project.ran() >= {"evaluations/cartpole-balance/bc/seed_0"}
    rows = table(output)
    for row in project.table("reports/toy/runs.csv"):
        cells = rows[row["run"]]
        assert float(cells[0]) == pytest.approx(float(row["return_mean"]), abs=0.05)
        assert cells[-3:] == ["0", "of", "2"]
        if row["demos"]:
            assert cells[1] == f"{float(row['expert_share']):.1%}"
    assert "reports/toy/report.html" in output and "cdred verify reports/toy" in output
    # The engine's own words stand in the log.
    assert "Provided cores" not in output and "localrule" not in output
    assert "report" in (project.root / "logs/demo.txt").read_text()

    again = project.run("cdred", "demo")
    assert "all 8 jobs are up to date" in again and table(again) == rows


def test_failed_episodes_are_counted(finished: Project, tmp_path: object) -> None:
    project = finished.copy(tmp_path / "project")
    episodes = project.root / "reports/toy/episodes.csv"
    head, *lines = episodes.read_text().splitlines()
    at = head.split(",").index("return")
    first = next(k for k, line in enumerate(lines) if ",bc," in line)
    cells = lines[first].split(",")
    lines[first] = ",".join([*cells[:at], "1.0", *cells[at + 1 :]])
    episodes.write_text("\n".join([head, *lines]) + "\n")
    rows = table(project.run("cdred", "demo"))
    assert rows["bc"][-3:] == ["1", "of", "2"] and rows["cdred"][-3:] == ["0", "of", "2"]


def test_what_failed_is_unknown_where_nothing_tells() -> None:
    def failed(success: str, expert: str) -> str:
        return demo.failed([{"return": "-40", "success": success}], expert)

    assert failed("False", "") == "1 of 1"
    assert failed("", "-30") == failed("", "") == "unknown"
    assert failed("", "100") == "1 of 1"


def test_an_expert_that_is_not_trained_is_on_its_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project.create(tmp_path / "project", "config/metaworld_small.yaml")
    plan = Plan.load(project.root)
    job = plan.of("expert")[0]
    log = project.root / job.log.with_name("runtime.jsonl")
    log.parent.mkdir(parents=True)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    start = {
        "digest": job.digest, "event": "start", "time": started, "host": "here", "pid": 1,
        "attempt": started, "seconds": 0.5, "peak_memory_mb": 100,
    }  # fmt: skip
    log.write_text(json.dumps(start) + "\n")
    progress = demo.StatusLine(plan, [job], {job: 10.0}, 1, started)
    progress.told = 0
    progress.show()
    assert f"0 of 1 jobs done; {demo._title(job)} " in capsys.readouterr().out


def test_a_failure_is_told_in_the_job_s_own_words(finished: Project, tmp_path: object) -> None:
    project = finished.copy(tmp_path / "project")
    project.run("rm", "-r", EVALUATION, "reports/toy")
    weights = project.root / AGENT / "pretrained_model/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"!")
    (project.root / "logs/demo.txt").write_text("cdred: the reason of another run\n")
    done = project.attempt("cdred", "demo")
    assert done.returncode == 1
    assert (
        f"{AGENT}/pretrained_model/{weights.name}" in done.stdout and "Traceback" not in done.stdout
    )
    assert "Not finished" in done.stdout and "Done in" not in done.stdout
    assert "of another run" not in done.stdout
    weights.write_bytes(whole)
    assert "Done in" in project.run("cdred", "demo")


@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGINT, os.killpg),
        (signal.SIGTERM, os.kill),
        pytest.param(signal.SIGHUP, os.kill, marks=pytest.mark.slow),
    ],
)
def test_stopped_it_leaves_no_process_and_goes_on(
    project: Project, number: int, send: Callable[[int, int], None]
) -> None:
    project.edit("params.yaml", "  - cdred\n", "")
    process = project.start("cdred", "demo")
    started = project.root / "logs/experts/cartpole-balance/expert/runtime.jsonl"
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.1)
    send(process.pid, number)
    assert process.wait() == 128 + number
    wait_until(lambda: not is_group(process.pid), seconds=10)  # the last may still be ending
    assert "Done in" in project.run("cdred", "demo")
