"""The cost of an experiment, from the logs of the machines that ran it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from support.made_reports import read_csv

from cdred import manifest, report
from cdred.plan import Job, Plan
from cdred.plan.description import describe
from cdred.tools import cost, cost_page


def test_cost_is_read_from_the_logs_and_stays_out_of_the_report(
    single: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan = single[0]
    job = plan.job("imitate", "cartpole-balance", "cdred", 0)
    evaluation = plan.evaluate(job)

    def event(of: Job, attempt: str, name: str, seconds: float, **values: Any) -> str:
        row = {"event": name, "digest": of.digest, "host": "h", "pid": 1, "attempt": attempt}
        return json.dumps(row | {"seconds": seconds, "peak_memory_mb": 900} | values) + "\n"

    def write(of: Job, *lines: str) -> None:
        file = (plan.root / of.log).with_name("runtime.jsonl")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(lines))

    lines = [
        event(job, "a", "start", 1.0, device="cpu"),
        event(job, "a", "interval", 60.0, updates_per_second=50.0),  # killed
        event(job, "b", "start", 1.0, device="cpu"),
        event(job, "b", "end", 40.0),
        event(plan.report, "c", "end", 7777.0),  # of something else
        '{"event": "cut',
    ]
    write(job, *lines)
    cost_page.write(plan, plan.report)
    folder = (plan.root / plan.report.log).parent
    page = (folder / "cost.html").read_text()
    assert "0:01:40" in page and "900 MB" in page and "7777" not in page
    assert "Energy was not recorded" in page and "energy</th>" not in page
    assert "Of 2 of 3 agents nothing is recorded here" in page

    write(  # energy is counted from each attempt's start
        job,
        event(job, "a", "interval", 50.0, energy_joules=4000.0),
        event(job, "a", "interval", 60.0, energy_joules=5000.0),
        event(job, "b", "interval", 30.0, energy_joules=2000.0),
        event(job, "b", "end", 40.0, energy_joules=2200.0),
    )
    write(evaluation, event(evaluation, "d", "acting", 3.0, ms_per_action=1.234))
    cost_page.write(plan, plan.report)
    page = (folder / "cost.html").read_text()
    assert "7.2 kJ" in page and "1.23" in page and "not recorded" not in page
    row = next(r for r in read_csv(folder / "cost.csv") if r["run"] == "cdred")
    assert (row["seconds"], row["attempts"], row["energy_joules"]) == ("100.0", "2", "7200.0")
    report.write(describe(plan), tmp_path)
    assert manifest.hash_tree(tmp_path) == manifest.hash_tree(single[1])


def test_what_is_damaged_in_a_log_is_left_out(single: tuple[Plan, Path]) -> None:
    plan = single[0]
    job = plan.job("imitate", "cartpole-balance", "bc", 0)
    file = (plan.root / job.log).with_name("runtime.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    good = {
        "digest": job.digest,
        "host": "h",
        "pid": 1,
        "attempt": "a",
        "seconds": 5.0,
        "peak_memory_mb": 9,
    }
    damaged = [
        b"", b"null", b"[]", b"{}", b"\xff", b"[" * 10**5, b"9" * 5000,
        *(json.dumps(good | {name: None}).encode() for name in good),
        *(json.dumps({k: v for k, v in good.items() if k != name}).encode() for name in good),
        *(json.dumps(good | {"seconds": value}).encode() for value in (-1, "5", 1e300, [1], float("nan"))),
        json.dumps(good | {"device": "\x1b[2J"}).encode(), json.dumps(good | {"pid": {}}).encode(),
    ]  # fmt: skip
    file.write_bytes(b"\n".join([*damaged, json.dumps(good).encode()]))
    assert cost.read(plan.root, job) == [good]
    cost_page.write(plan, plan.report)
    file.unlink()
    os.mkfifo(file)
    assert cost.read(plan.root, job) == []
    file.unlink()
    file.mkdir()
    assert cost.read(plan.root, job) == []
    file.rmdir()
