"""`cdred demo`: the current experiment through the whole DAG, told to a person who waits for it.

Snakemake runs the jobs; what it and they print goes to a log. Here stand the plan, how long it will
take, one line of progress, and what came out.
"""

from __future__ import annotations

import calendar
import csv
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cdred import documents
from cdred.envs.tasks import find
from cdred.errors import CdredError, printable
from cdred.plan import Job, Plan
from cdred.run import forecast
from cdred.tools import cost
from cdred.tools.text_table import aligned

LOG = Path("logs/demo.txt")
NO_SUCCESS = "it does not succeed"
HALF = "its return is below half of the expert's mean, or the demonstrations' where there is none"
ENGINE = ("snakemake", "--cores", "all", "--quiet", "rules", "host")
EVERY, LINE_EVERY = 1.0, 30.0  # seconds between looks, and between lines where there is no terminal
NEXT = {  # by experiment
    "quickstart": [
        ("cdred use config/quickstart_seeds.yaml && cdred demo", "five seeds, more methods"),
    ],
}  # fmt: skip
DOES = {
    "expert": "an expert", "demos": "its demonstrations", "imitate": "agents that imitate it",
    "evaluate": "evaluations", "report": "the report",
}  # fmt: skip


def run() -> int:
    """Make what is missing or stale of the experiment; the engine's exit status.

    Stopped or killed, it goes on where it was when it is called again.
    """
    plan = Plan.load()
    if shutil.which(ENGINE[0]) is None:
        raise CdredError("demo: Snakemake is not installed here; `make setup` installs it")
    todo = [job for job in plan.jobs if not job.up_to_date()]
    print(_plan_of(plan, todo))
    began, before = time.monotonic(), LOG.stat().st_size if LOG.exists() else 0
    if todo and (status := _run(plan, todo, len(os.sched_getaffinity(0)))):
        print(_failure(before))
        print(f"Not finished (all of it: {LOG}). The same command goes on from here.")
        return status
    if todo:
        took = round(time.monotonic() - began)
        print(f"Done in {took // 60} min {took % 60} s.")
    report = plan.report.path.as_posix()
    print("", *_results(plan), "", sep="\n")
    print(
        f"The report, with films and curves: {report}/report.html",
        "Next, after `source .venv/bin/activate`:",
        *_columns(
            (f"cdred verify {report}", "check every hash and play every evaluation again"),
            ("cdred show", "these results with intervals, beside published ones"),
            *NEXT.get(plan.config.experiment.name, ()),
        ),
        sep="\n",
    )
    return 0


def _plan_of(plan: Plan, todo: list[Job]) -> str:
    name, tasks = plan.config.experiment.name, ", ".join(plan.config.experiment.tasks)
    if not todo:
        return f"Experiment {name} ({tasks}): all {len(plan.jobs)} jobs are up to date."
    counts = {stage: sum(job.stage == stage for job in todo) for stage in DOES}
    lines = [
        f"  {count:3} x {DOES[stage]}: {_names(todo, stage)}"
        for stage, count in counts.items()
        if count
    ]
    done = len(plan.jobs) - len(todo)
    already = f", {done} are up to date" if done else ""
    return "\n".join([f"Experiment {name} ({tasks}): {len(todo)} jobs to run{already}.", *lines])


def _names(todo: list[Job], stage: str) -> str:
    return ", ".join(dict.fromkeys(job.entry for job in todo if job.stage == stage))


def _run(plan: Plan, todo: list[Job], cores: int) -> int:
    LOG.parent.mkdir(exist_ok=True)
    with documents.open_to_append(LOG) as log:
        start = partial(subprocess.Popen, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        engine = start(ENGINE)
        helper = None
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _stopped)
            # The first training leaves a core idle.
            if cores > 1 and sum(job.stage in ("expert", "imitate") for job in todo) > 1:
                helper = start(("nice", sys.executable, "-m", "cdred", "compile"))
            seconds = forecast.measure(plan, todo)
            left = forecast.time_left(seconds, {}, (), cores)
            print(f"On {cores} cores, as measured here: {_minutes(left)}.")
            print(f"What the engine and the jobs print goes to {LOG}.\n", flush=True)
            progress = StatusLine(plan, todo, seconds, cores, began)
            while engine.poll() is None:
                progress.show()
                time.sleep(EVERY)
            progress.end()
        except KeyboardInterrupt:  # of the terminal, which interrupts the engine as well
            engine.wait()
            raise
        finally:
            if engine.poll() is None:
                engine.send_signal(signal.SIGINT)
                engine.wait()
            if helper is not None:
                helper.terminate()
                helper.wait()
    return engine.returncode


def _stopped(number: int, _: Any) -> None:
    """Leave by what stands in `finally`: the engine is not to go on alone."""
    raise SystemExit(128 + number)


class StatusLine:
    """One line: jobs done, those that run and how far they are, and the time left."""

    def __init__(
        self, plan: Plan, todo: list[Job], seconds: dict[Job, float], cores: int, began: str
    ) -> None:
        self.plan, self.seconds, self.cores, self.began = plan, seconds, cores, began
        self.waiting = list(todo)
        self.took: dict[Job, float] = {}  # seconds, of those that are done
        self.terminal = sys.stdout.isatty()
        self.told = time.monotonic()

    def show(self) -> None:
        running: dict[Job, tuple[float, float]] = {}  # seconds so far, and the share that is done
        for job in list(self.waiting):
            events = cost.read(self.plan.root, job)
            if not events or events[-1]["time"] < self.began:  # of an attempt before
                continue
            spent = cost.spent(events)["seconds"]
            if events[-1]["event"] == "end":
                self.waiting.remove(job)
                self.took[job] = spent
            else:
                running[job] = spent, self._share(job, events[-1])
        if self.terminal or time.monotonic() - self.told >= LINE_EVERY:
            self.told = time.monotonic()
            self._print(self._line(running))

    def _share(self, job: Job, event: dict[str, Any]) -> float:
        """The share of a job that is done, of 1: by its steps where it tells them."""
        if training := self.plan.training(job):
            return float((event.get("step") or 0.0) / training.settings.steps)
        since = calendar.timegm(time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ"))
        return min((time.time() - since) / self.seconds[job], 0.95)

    def _line(self, running: dict[Job, tuple[float, float]]) -> str:
        # What was forecast, mended by what was seen.
        seconds = dict(self.seconds)
        seen = {job: spent / share for job, (spent, share) in running.items() if share > 0.1}
        seen |= self.took
        if seen:
            factor = sum(seen.values()) / sum(self.seconds[job] for job in seen)
            seconds = {job: factor * value for job, value in seconds.items()} | seen
        shares = {job: share for job, (_, share) in running.items()}
        left = forecast.time_left(seconds, shares, self.took, self.cores)
        now = ", ".join(f"{_title(job)} {share:.0%}" for job, share in shares.items())
        total = len(self.seconds)
        return f"{len(self.took)} of {total} jobs done; {now or 'starting'}; {_minutes(left)} left"

    def _print(self, text: str) -> None:
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]:{width}}", end="", flush=True)
        else:
            print(text, flush=True)

    def end(self) -> None:
        if self.terminal:
            print(f"\r{'':{shutil.get_terminal_size().columns - 1}}\r", end="", flush=True)


def _title(job: Job) -> str:
    seed = f" seed {job.seed}" if job.stage == "imitate" else ""
    return job.stage if job.stage == "report" else f"{job.stage} {job.entry}{seed}"


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"about {math.ceil(seconds / 10) * 10} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"


def _failure(before: int) -> str:
    """The reason, as the log tells it after its first `before` bytes, which are of other runs: the
    jobs' own words, or else its end."""
    lines = LOG.read_bytes()[before:].decode(errors="replace").splitlines()
    told = [line for line in lines if line.startswith("cdred: ")]
    return printable("\n".join(dict.fromkeys(told[-3:])) or "\n".join(lines[-15:]))


def _results(plan: Plan) -> Iterator[str]:
    """A line for each entry and task of the report: its score over all episodes, the share of the
    expert's, and how many episodes failed."""
    folder = plan.root / plan.report.path
    tables = (_table(folder / f"{name}.csv") for name in ("runs", "summary", "episodes"))
    runs, summary, episodes = tables
    expert = {_agent(row): row["expert_score"] for row in summary}
    measures = " or ".join(sorted({find(row["task"]).measure for row in runs}))
    lines = [("", measures, "of the expert's", "failed episodes")]
    several = len({row["task"] for row in runs}) > 1
    for row in runs:
        own = [e for e in episodes if _agent(e) == _agent(row)]
        name = f"{row['task']} {row['run']}" if several else row["run"]
        share = f"{float(row['expert_share']):.1%}" if row["demos"] and row["expert_share"] else ""
        count = failed(own, expert[_agent(row)])
        lines.append((name, _score(row), share, count))
    yield from _columns(*lines, right=range(1, 4))
    seeds = {row["seeds"] for row in runs if row["demos"]}
    one = "One seed says little." if seeds == {"1"} else ""
    rules = dict.fromkeys(_failure_rule(row, expert[_agent(row)]) for row in runs)
    known = ", or where that is unknown if ".join(sorted(filter(None, rules)))
    failing = f"An episode failed if {known}." if known else ""
    yield " ".join(filter(None, (failing, one)))


def _score(row: dict[str, str]) -> str:
    """The measure of the row's task: the mean return, or the share of episodes that succeed."""
    if find(row["task"]).measure == "success":
        return f"{float(row['success']):.0%}"
    return f"{float(row['return_mean']):.1f}"


def failed(episodes: list[dict[str, str]], expert: str) -> str:
    """The number of an agent's failed episodes, by its expert's score, which may be unknown."""
    rule = _failure_rule(episodes[0], expert)
    if rule is None:
        return "unknown"
    fails = [
        e["success"] == "False" if rule == NO_SUCCESS else float(e["return"]) < float(expert) / 2
        for e in episodes
    ]
    return f"{sum(fails)} of {len(fails)}"


def _failure_rule(row: dict[str, str], expert: str) -> str | None:
    """By what an episode fails, given a row that may know success and the expert's score, if that
    is known."""
    if row["success"]:
        return NO_SUCCESS
    return HALF if expert and float(expert) > 0 else None


def _columns(*rows: tuple[str, ...], right: Container[int] = ()) -> list[str]:
    return [f"  {line}" for line in aligned(rows, right, gap=3)]


def _agent(row: dict[str, str]) -> tuple[str, str]:
    return row["task"], row["run"]


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))
