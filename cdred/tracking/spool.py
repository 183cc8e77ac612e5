"""Tracking by MLflow: each run of a stage is written to a spool, which another process delivers.

The stage only appends lines to a file in `.cdred/mlflow/`. So tracking cannot make it fail, wait or
compute something else, whatever the state of the server: a background process sends what is there
while stages run, the next run sends what is left, and so does `cdred track --deliver`.
This module does not import mlflow: see `delivery`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cdred import documents, manifest
from cdred.documents import Document
from cdred.errors import CdredError, without_secrets
from cdred.plan import Job, Plan
from cdred.report.svg import COLOURS
from cdred.system import cluster
from cdred.system.progress import logger

SPOOL = Path(".cdred/mlflow")
PREFIX = {
    "metrics": "train", "curve": "curve", "episodes": "episode", "result": "result",
    "runtime": "system", "machine": "system",
}  # fmt: skip
SHOWN = (manifest.VIDEO, "report.html")  # files of an artifact that MLflow gets a copy of
SERVER = "MLFLOW_TRACKING_URI"
OTHERS = "#777777"  # colour of what is no run of the experiment
ENSURE_EVERY = 60.0  # seconds between looks whether a delivering process is there


def harmless(method: Callable[..., None]) -> Callable[..., None]:
    """Turn an error of a tracker's method into one line in the log, and stop tracking."""

    @functools.wraps(method)
    def called(self: Tracker, *args: Any, **kwargs: Any) -> None:
        if not self.on:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as exc:
            self.on = False
            logger.warning(f"tracking stopped, the job goes on: {exc}")

    return called


class Tracker:
    """The writer of one job's run: its identity, its metrics over steps, its end."""

    def __init__(self, plan: Plan, job: Job) -> None:
        self.plan, self.job = plan, job
        self.on = plan.config.compute.tracking == "mlflow"
        self.folder = plan.root / SPOOL
        self.destination = destination()
        self.file: Path | None = None  # until `start`
        self.known: dict[str, tuple[float, float]] = {}  # table -> (step, update) spooled last
        self._ensured = -math.inf
        self._lock = threading.Lock()  # samples come from a thread of their own

    @harmless
    def start(self, device: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self.known = self._continued() or (self.folder / self._new_name(), {})
        self._write(
            {
                "kind": "run", "pid": os.getpid(), "host": os.uname().nodename,
                "experiment": self.plan.config.experiment.name,
                "name": run_name(self.job),
                "params": {k: without_secrets(str(v)) for k, v in sorted(self._params().items())},
                "tags": self._tags(device),
                "dataset": self._dataset(),
            }
        )  # fmt: skip
        self._ensure_delivery()

    @harmless
    def row(self, table: str, row: dict[str, Any]) -> None:
        """Write a row with its `step`, and `update` if it has one; values that are not finite
        numbers are left out."""
        at = (row["step"], row.get("update", 0))
        if at <= self.known.get(table, (-1, -1)):
            return  # a job that goes on from an earlier state: the same values again
        self.known[table] = at
        values = {
            f"{PREFIX[table]}/{name}": float(value)
            for name, value in row.items()
            if name != "step" and isinstance(value, bool | int | float) and math.isfinite(value)
        }
        self._write({"kind": "metrics", "table": table, "at": at, "values": values})
        if time.monotonic() - self._ensured > ENSURE_EVERY:
            self._ensure_delivery()

    @harmless
    def sample(self, values: dict[str, float]) -> None:
        """Write system metrics. As MLflow's own, they count samples, here over all attempts."""
        step = int(self.known.get("machine", (-1, 0))[0]) + 1
        self.row("machine", {"step": step, **values})

    @harmless
    def end(self, status: str, **tags: str) -> None:
        """Write the end of the run; `status` is MLflow's: FINISHED, FAILED or KILLED."""
        shown = [self.job.path / name for name in SHOWN] if status == "FINISHED" else []
        files = [path.as_posix() for path in shown if (self.plan.root / path).is_file()]
        self._write({"kind": "end", "status": status, "tags": tags, "files": files})
        self._ensure_delivery()

    def _params(self) -> dict[str, Any]:
        job = self.job
        known = {"stage": job.stage, "task": job.task, "entry": job.entry, "seed": job.seed}
        return job.params | known

    def _tags(self, device: str) -> dict[str, str]:
        job = self.job
        runs = self.plan.config.experiment.runs
        own = job.stage in ("imitate", "evaluate") and job.entry in runs
        colour = COLOURS[runs.index(job.entry) % len(COLOURS)] if own else OTHERS
        parents = {j.path.as_posix(): j.digest for j in job.inputs}
        return {
            "cdred.digest": job.digest,
            "cdred.stage": job.stage,
            "cdred.artifact": job.path.as_posix(),  # by reference: DVC keeps and shares the bytes
            "cdred.parents": json.dumps(parents)[:4900],
            "cdred.code": manifest.digest_of(job.code),
            "cdred.device": device,
            "cdred.host": os.uname().nodename,
            "mlflow.runColor": colour,  # as in the report
            "mlflow.source.name": job.command,
            "mlflow.source.type": "JOB",
            "mlflow.source.git.commit": git_commit(self.plan.root),
        }

    def _dataset(self) -> dict[str, str] | None:
        """The demonstrations of an imitating agent, as MLflow's dataset."""
        for j in self.job.inputs:
            if self.job.stage == "imitate" and j.stage == "demos":
                name = f"{j.task}/{j.entry}"
                return {"name": name, "digest": j.digest[:36], "source": j.path.as_posix()}
        return None

    def _new_name(self) -> str:
        return f"{self.destination}-{self.job.digest[:16]}-{time.time_ns()}.jsonl"

    def _continued(self) -> tuple[Path, dict[str, tuple[float, float]]] | None:
        """The spool of a killed attempt at this job, and the last step of each table in it."""
        name = f"{self.destination}-{self.job.digest[:16]}-*.jsonl"
        for file in sorted(self.folder.glob(name)):
            lines = [] if file.is_symlink() else read_lines(file)
            started = lines and lines[0]["kind"] == "run"  # else cut short by a full disk
            if started and not any(line["kind"] == "end" for line in lines):
                rows = [line for line in lines if line["kind"] == "metrics"]
                return file, {line["table"]: tuple(line["at"]) for line in rows}
        return None

    def _write(self, line: dict[str, Any]) -> None:
        if self.file is None:
            return
        with self._lock, documents.open_to_append(self.file) as out:
            torn = b""  # what a kill or a full disk cut short must not swallow this line
            if out.seek(0, os.SEEK_END):
                out.seek(-1, os.SEEK_END)
                torn = b"" if out.read(1) == b"\n" else b"\n"
            line = line | {"time": time.time_ns() // 1_000_000}
            out.write(torn + json.dumps(line).encode() + b"\n")

    def _ensure_delivery(self) -> None:
        """Start the delivering process, which outlives this one, if none runs."""
        self._ensured = time.monotonic()
        if importlib.util.find_spec("mlflow") is None:
            return  # a machine that only trains: delivered from where the files go
        if cluster.is_job() and not os.environ.get(SERVER):
            return  # many nodes must not share an SQLite file: entered where Snakemake runs
        if busy(self.folder, self.destination):
            return
        subprocess.Popen(
            [sys.executable, "-m", "cdred.tracking.delivery", str(self.plan.root.resolve())],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip


def run_name(job: Job) -> str:
    """A run's name in MLflow, `cdred, seed 0: imitate cup-catch`; charts show its beginning."""
    seed = f", seed {job.seed}" if job.stage in ("imitate", "evaluate") else ""
    return f"{job.entry}{seed}: {job.stage} {job.task}".rstrip()


def destination() -> str:
    """A name for the server that this process's runs go to, for file names: never its address,
    which may hold a password."""
    uri = os.environ.get(SERVER)
    return hashlib.sha256(uri.encode()).hexdigest()[:8] if uri else "local"


def lock_file(folder: Path, destination: str) -> Path:
    return folder / f"{destination}.lock"


def busy(folder: Path, destination: str) -> bool:
    """Tell whether a delivering process is at work."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock_file(folder, destination), blocking=False):
            return False
    except Timeout:
        return True


def read_lines(file: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Read the complete lines of a spool from a byte on; each with `end`, the byte after it. A last
    line that a kill cut short is left out."""
    lines = []
    try:
        source = documents.open_regular(file)
    except (FileNotFoundError, CdredError):  # delivered meanwhile, or not one
        return []
    with source:
        source.seek(offset)
        for raw in source:
            offset += len(raw)
            if raw.endswith(b"\n"):
                wrong = CdredError, ValueError, RecursionError, KeyError, TypeError
                with contextlib.suppress(*wrong):
                    line = json.loads(raw)
                    documents.check(_LINES[line["kind"]], line, str(file))
                    lines.append(line | {"end": offset})
    return lines


class _Line(Document):
    time: Annotated[int, Field(ge=0, le=2**53)]


class _Run(_Line):
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    host: str
    experiment: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    dataset: dict[str, str] | None


class _Metrics(_Line):
    table: str
    at: Annotated[list[float], Field(min_length=2, max_length=2)]
    values: dict[str, float]


class _End(_Line):
    status: Literal["FINISHED", "FAILED", "KILLED"]
    tags: dict[str, str]
    files: list[str]


_LINES: dict[str, type[_Line]] = {"run": _Run, "metrics": _Metrics, "end": _End}
_NAME = re.compile(r"\w+-[0-9a-f]{16}-\d+\.jsonl")


def spools(root: Path, destination: str = "*") -> list[Path]:
    """The spools for a destination."""
    files = (root / SPOOL).glob(f"{destination}-*.jsonl")
    return sorted(file for file in files if _NAME.fullmatch(file.name))


def git_commit(root: Path) -> str:
    """The checkout's commit, with `-dirty` if it was edited; empty where there is no git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
