"""Delivery from the spool to MLflow: `python -m cdred.tracking.delivery ROOT`, or `cdred track`."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cdred import documents
from cdred.errors import CdredError, printable, reason
from cdred.network import is_address
from cdred.plan.paths import TOPS
from cdred.tracking.spool import (
    SERVER,
    SHOWN,
    SPOOL,
    destination,
    lock_file,
    read_lines,
    spools,
)

BATCH = 1000  # metrics a call: MLflow's limit
LINGER = 30.0  # seconds to wait for the next stage of a workflow before going away
POLL = 3.0

# Known before mlflow is imported. A dead server is noticed in seconds, not minutes; who delivers in
# the background tries again.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "PGCONNECT_TIMEOUT": "8",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "GIT_PYTHON_REFRESH": "quiet",
}


def tracking_uri(root: Path) -> str:
    """The server of MLFLOW_TRACKING_URI, else an SQLite file in the checkout.

    Raises CdredError for an address that cannot be understood.
    """
    uri = os.environ.get(SERVER) or f"sqlite:///{root.resolve()}/mlflow.db"
    if not is_address(uri):
        raise CdredError(f"{SERVER}: not an address such as http://server:5000")
    return uri


def waiting(root: Path, destination: str = "*") -> list[Path]:
    """Spools that are not delivered completely."""
    return [f for f in spools(root, destination) if read_lines(f, _sent(f)["offset"])]


class Delivery:
    """The sender of spools to MLflow, each line once: how far it came is noted beside the spool."""

    def __init__(self, root: Path) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        import logging

        from mlflow import MlflowClient

        logging.getLogger("alembic").setLevel(logging.ERROR)
        self.root = root
        _ask_database(tracking_uri(root))
        if not os.environ.get(SERVER):
            _follow_checkout(root)
        self.client = MlflowClient(tracking_uri(root))
        self._experiments: dict[str, str] = {}

    def send_all(self, files: list[Path]) -> list[Exception]:
        """Send all spools. One that MLflow refuses does not hold back the others: returns the
        reasons. Raises what MLflow raises when it cannot be reached at all."""
        if files:
            self.client.search_experiments(max_results=1)
        problems: list[Exception] = []
        for file in files:
            try:
                self.send(file)
            except Exception as exc:  # all of it stays in the spool
                problems.append(exc)
        return problems

    def send(self, file: Path) -> None:
        """Send the rest of a spool. Raises what MLflow raises; nothing is lost by it."""
        sent = _sent(file)
        if sent["destination"] != destination() or self._is_gone(sent["run_id"]):
            # Begun elsewhere, or deleted since: all of it again, here.
            sent = {"run_id": None, "offset": 0, "destination": destination()}
        lines = read_lines(file, sent["offset"])
        ended = False
        metrics: list[Any] = []
        for line in lines:
            if line["kind"] == "metrics":
                metrics += self._metrics(line)
                continue
            self._log(sent, metrics)
            metrics = []
            if line["kind"] == "run":
                sent["run_id"] = sent["run_id"] or self._create(line, key=file.stem)
                self.client.update_run(sent["run_id"], status="RUNNING")
            elif line["kind"] == "end":
                for name, value in line["tags"].items():
                    self.client.set_tag(sent["run_id"], name, value)
                self.client.set_terminated(sent["run_id"], line["status"], line["time"])
                self._drop_doubles(sent["run_id"])
                self._upload(sent["run_id"], line["files"])
                ended = True
        self._log(sent, metrics)
        if lines:
            sent["offset"] = lines[-1]["end"]
            _note(file, sent)
        if ended:
            _beside(file).unlink()
            file.unlink()

    def _is_gone(self, run_id: str | None) -> bool:
        """Tell whether a run was deleted, or its whole database was."""
        from mlflow.exceptions import MlflowException

        if run_id is None:
            return False
        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage != "active")
        except MlflowException as exc:
            if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
                return True
            raise

    @staticmethod
    def _metrics(line: dict[str, Any]) -> list[Any]:
        from mlflow.entities import Metric

        step, moment = int(line["at"][0]), line["time"]
        return [Metric(name, value, moment, step) for name, value in line["values"].items()]

    def _log(self, sent: dict[str, Any], metrics: list[Any]) -> None:
        for k in range(0, len(metrics), BATCH):
            self.client.log_batch(sent["run_id"], metrics=metrics[k : k + BATCH])

    def _create(self, line: dict[str, Any], key: str) -> str:
        """The run of a spool, which an interrupted delivery may have made already."""
        from mlflow.entities import Dataset, DatasetInput, Param

        experiment = self.experiment(line["experiment"])
        tags = line["tags"] | {"cdred.key": key}
        run_id = self._find(experiment, key)
        if run_id is None:
            run = self.client.create_run(experiment, line["time"], tags, line["name"])
            run_id = run.info.run_id
        params = [Param(name, value) for name, value in line["params"].items()]
        self.client.log_batch(run_id, params=params)
        if line["dataset"]:
            d = line["dataset"]
            dataset = Dataset(d["name"], d["digest"], "dvc", json.dumps({"path": d["source"]}))
            self.client.log_inputs(run_id, [DatasetInput(dataset)])
        return run_id

    def experiment(self, name: str) -> str:
        """The id of the experiment of this name, created if there is none."""
        from mlflow.exceptions import MlflowException

        if name not in self._experiments:
            known = self.client.get_experiment_by_name(name)
            if known is None:
                with contextlib.suppress(MlflowException):  # made by another process meanwhile
                    self.client.create_experiment(name, self._artifacts())
                known = self.client.get_experiment_by_name(name)
            if known is None:
                raise RuntimeError(f"MLflow experiment {name!r} cannot be created")
            self._experiments[name] = known.experiment_id
        return self._experiments[name]

    def _artifacts(self) -> str | None:
        """The address at which films and reports are kept; a server decides itself."""
        return None if os.environ.get(SERVER) else _files_of(self.root)

    def _find(self, experiment: str, key: str) -> str | None:
        runs = self._keyed(experiment, key)
        return runs[0].info.run_id if runs else None

    def _keyed(self, experiment: str, key: str) -> list[Any]:
        oldest = ["attributes.start_time ASC"]
        return self.client.search_runs([experiment], f"tags.`cdred.key` = '{key}'", order_by=oldest)

    def _drop_doubles(self, run_id: str) -> None:
        """Delete the doubles that a slow server makes of a request that was given up and repeated:
        keep the run that was written to."""
        run = self.client.get_run(run_id)
        for other in self._keyed(run.info.experiment_id, run.data.tags["cdred.key"]):
            if other.info.run_id != run_id:
                self.client.delete_run(other.info.run_id)

    def _upload(self, run_id: str, names: list[str]) -> None:
        """Let MLflow show files of the artifact. They are copies: without a store that takes them,
        a run is complete all the same."""
        for name in names:
            file = (self.root / name).resolve()
            places = [(self.root / top).resolve() for top in TOPS]
            if file.name in SHOWN and any(file.is_relative_to(place) for place in places):
                with contextlib.suppress(Exception):
                    self.client.log_artifact(run_id, str(file))


def _files_of(root: Path) -> str:
    return (root / "mlruns").resolve().as_uri()


def _follow_checkout(root: Path) -> None:
    """Let the files of a checkout's own database lie in this checkout. MLflow keeps their absolute
    places, and no call of its client changes them; but a checkout is moved, or copied."""
    here = _files_of(root)
    if not (root / "mlflow.db").exists():
        return
    with (
        contextlib.suppress(sqlite3.Error),  # of another MLflow's scheme, or in use
        contextlib.closing(sqlite3.connect(root / "mlflow.db", timeout=10)) as database,
        database,
    ):
        known = database.execute(
            "SELECT DISTINCT artifact_location FROM experiments "
            "WHERE artifact_location LIKE 'file:%/mlruns'"
        )
        for (place,) in known.fetchall():
            if place != here:
                database.execute(
                    "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                    "WHERE substr(artifact_uri, 1, ?) = ?",
                    (here, len(place) + 1, len(place) + 1, f"{place}/"),
                )
                database.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?",
                    (here, place),
                )


def _ask_database(uri: str) -> None:
    """Connect once to a database that MLflow is to write to: MLflow itself tries for minutes.

    Raises what the database's driver raises.
    """
    import sqlalchemy

    if uri.partition(":")[0].partition("+")[0] in ("mssql", "mysql", "postgresql"):
        sqlalchemy.create_engine(uri).connect().close()


def _beside(file: Path) -> Path:
    return file.with_suffix(".sent")


def _sent(file: Path) -> dict[str, Any]:
    try:
        return documents.read(_beside(file), _Sent).model_dump()
    except CdredError:
        return {"run_id": None, "offset": 0, "destination": destination()}


class _Sent(documents.Document):
    """The part of a spool that is delivered."""

    run_id: str | None
    offset: Annotated[int, Field(ge=0, lt=2**53)]
    destination: str


def _note(file: Path, sent: dict[str, Any]) -> None:
    beside = _beside(file)
    documents.replace(beside, json.dumps(sent).encode(), beside.with_suffix(".partial"))


def alive(root: Path) -> bool:
    """Tell whether a job of this machine is still writing to a spool."""
    return any(map(is_alive, spools(root)))


def is_alive(spool: Path) -> bool:
    """Tell whether the process that writes a spool still runs, as far as this machine can tell."""
    starts = [line for line in read_lines(spool) if line["kind"] == "run"]
    if starts and starts[-1]["host"] == os.uname().nodename:
        with contextlib.suppress(OSError):
            os.kill(starts[-1]["pid"], 0)
            return True
    return False


def in_background(root: Path) -> None:
    """Deliver until no job runs any more, then linger a while for the next. One process per
    checkout."""
    from filelock import FileLock, Timeout

    mine = destination()
    try:
        lock = FileLock(lock_file(root / SPOOL, mine), blocking=False).acquire()
    except (Timeout, OSError):
        return
    with lock:
        os.nice(10)
        error = root / SPOOL / "error.txt"
        delivery: Delivery | None = None
        quiet_since = time.monotonic()
        while (root / SPOOL).is_dir():
            try:
                delivery = delivery or Delivery(root)
                files = waiting(root, mine)
                problems = delivery.send_all(files)
                if len(problems) < len(files):  # on a slow machine one pass may outlast LINGER
                    quiet_since = time.monotonic()
                if problems:
                    raise problems[0]
                error.unlink(missing_ok=True)
            except Exception as exc:  # tried again as long as jobs run; the spool keeps it all
                delivery = None
                with contextlib.suppress(OSError):
                    text = short(exc) + "\n"
                    documents.replace(error, text.encode(), error.with_suffix(".partial"))
            if alive(root):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > LINGER:
                return
            time.sleep(POLL)


def deliver(root: Path) -> None:
    """Deliver now, to where this process tracks, also spools that were meant for another place.

    Raises CdredError when a process in the background is at it already, or the server fails.
    """
    from filelock import FileLock, Timeout

    try:
        with contextlib.ExitStack() as locks:
            files = waiting(root)
            for name in sorted({file.name.split("-")[0] for file in files}):
                locks.enter_context(FileLock(lock_file(root / SPOOL, name), timeout=POLL))
            delivery = Delivery(root)
            if problems := delivery.send_all(files):
                raise CdredError(
                    f"{len(problems)} of {len(files)} runs were not taken by MLflow and are kept "
                    f"in {SPOOL}: {short(problems[0])}"
                )
    except Timeout:
        raise CdredError(
            "a process in the background is delivering; `cdred track` tells how far it is"
        ) from None
    except CdredError:
        raise
    except Exception as exc:
        raise CdredError(f"MLflow was not reached, all is kept in {SPOOL}: {short(exc)}") from None


def last_error(root: Path) -> str:
    try:
        return printable(documents.read_text(root / SPOOL / "error.txt", 10_000))
    except CdredError:
        return ""


def short(exc: BaseException) -> str:
    """An error in one line."""
    return f"{type(exc).__name__}: {reason(exc)}"


if __name__ == "__main__":
    in_background(Path(sys.argv[1]))
