"""Artifacts that colleagues pull: a folder and an S3 server as remotes, cut connections, damage."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from support.engines import dvc_is_clean, planned
from support.project import Project
from werkzeug.serving import make_server

MODEL = "artifacts/agents/cartpole-balance/cdred/seed_0/pretrained_model/model.safetensors"
AGENT = MODEL.rsplit("/", 2)[0]


class S3:
    """A loopback S3 server (moto) that can stop answering in the middle of a transfer."""

    def __init__(self) -> None:
        self.stalled, self._go_on = threading.Event(), threading.Event()
        self._method, self._left = "", 0
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.port}"
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        self.client = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **keys)
        self.client.create_bucket(Bucket="lab")

    def stall(self, method: str, after: int) -> None:
        """Leave the request that follows `after` of `method` on files without an answer."""
        self.stalled.clear()
        self._go_on.clear()
        self._method, self._left = method, after

    def release(self) -> None:
        self._method = ""
        self._go_on.set()

    def _answer(self, environ: dict[str, Any], start: Callable) -> Any:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == self._method and "/files/md5/" in path:
            self._left -= 1
            if self._left < 0:
                self.stalled.set()
                self._go_on.wait()
        return self._app(environ, start)

    def files(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket="lab").get("Contents", [])
        return [item["Key"] for item in found]

    def stop(self) -> None:
        self.release()
        self._server.shutdown()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    server = S3()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def entered(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished experiment, entered into DVC; nothing shared yet."""
    project = finished.copy(tmp_path_factory.mktemp("shared") / "project")
    project.run("cdred", "record")
    project.save()
    return project


@pytest.fixture
def mine(entered: Project, tmp_path: Path) -> Project:
    return entered.copy(tmp_path / "mine")


def use_remote(project: Project, url: str, *options: tuple[str, str]) -> None:
    project.run("dvc", "remote", "add", "-q", "-f", "-d", "lab", url)
    for name, value in options:
        project.run("dvc", "remote", "modify", "lab", name, value)
    project.save()


def clone(project: Project, name: str) -> Project:
    project.run("git", "clone", "-q", ".", str(project.root.parent / name))
    return Project(project.root.parent / name)


def accepts_everything(project: Project) -> None:
    """A clone has nothing to do in either engine, and every artifact is what it claims to be."""
    assert planned(project) == set()
    assert dvc_is_clean(project)
    output = project.run("cdred", "verify", "reports/toy")
    assert output.count("intact ") == 8
    assert output.count("reproduced ") == 3 and "NOT" not in output


def cached(project: Project, artifact_file: str) -> Path:
    md5 = hashlib.md5((project.root / artifact_file).read_bytes()).hexdigest()
    return project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def damage(file: Path) -> None:
    """Change a byte as a bad disk does: DVC's mark that it knows the file, its mode, stays."""
    mode = file.stat().st_mode
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    file.chmod(mode)


def one_line(project: Project, *command: str) -> str:
    """The message of a command that is refused."""
    done = project.attempt(*command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("cdred: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


# ---- remotes ------------------------------------------------------------------------------------


def test_through_a_folder(mine: Project, tmp_path: Path) -> None:
    use_remote(mine, str(tmp_path / "remote"))
    mine.run("dvc", "push", "-q")
    theirs = clone(mine, "theirs")
    theirs.run("dvc", "pull", "-q")
    accepts_everything(theirs)
    assert theirs.ran() == set()


@pytest.mark.s3
def test_through_s3_with_cut_connections(mine: Project, s3: S3) -> None:
    """Push, then pull, killed in their midst: the same command again completes each."""
    use_remote(mine, "s3://lab/cdred", ("endpointurl", s3.url))
    theirs = clone(mine, "theirs")
    for project, command, method in ((mine, "push", "PUT"), (theirs, "pull", "GET")):
        s3.stall(method, after=10)
        started = project.start("dvc", command)
        assert s3.stalled.wait(60)
        started.send_signal(signal.SIGKILL)
        started.wait()
        s3.release()
        if command == "push":
            assert 0 < len(s3.files()) < 50
        else:
            assert not list(theirs.root.rglob("manifest.json"))
        project.run("dvc", command)
    accepts_everything(theirs)


def test_a_remote_out_of_reach_is_one_line(mine: Project, tmp_path: Path) -> None:
    assert mine.run("dvc", "pull", "--help").startswith("usage: dvc pull")
    assert "no remote specified" in one_line(mine, "dvc", "push")
    use_remote(mine, str(tmp_path / "not-mounted/remote"))
    where = f"remote lab ({tmp_path}/not-mounted/remote)"
    for command in ("push", "pull", "fetch"):
        output = one_line(mine, "dvc", command)
        assert output == f"cdred: dvc {command}: {where}: no such directory; is it mounted?\n"
    assert not (tmp_path / "not-mounted").exists()  # DVC alone would make it and push to it
    assert "remote 'lap' doesn't exist" in one_line(mine, "dvc", "push", "--remote", "lap")


@pytest.mark.s3
def test_an_s3_server_out_of_reach_is_one_line(mine: Project, s3: S3) -> None:
    use_remote(mine, "s3://lap/cdred", ("endpointurl", s3.url))
    assert "remote lab (s3://lap/cdred): no bucket is called 'lap'" in one_line(mine, "dvc", "push")
    s3.stop()
    for command in ("push", "pull"):
        output = one_line(mine, "dvc", command)
        assert f"dvc {command}: remote lab (s3://lap/cdred) cannot be reached: Could not " in output
        assert output.endswith("nothing is lost, the same command goes on when it can\n")


# ---- damage -------------------------------------------------------------------------------------


def test_a_damaged_cache_file_is_named_and_fetched_again(mine: Project, tmp_path: Path) -> None:
    use_remote(mine, str(tmp_path / "remote"))
    mine.run("dvc", "push", "-q")
    file = cached(mine, MODEL)
    name = file.relative_to(mine.root).as_posix()
    before = (mine.root / MODEL).read_bytes()

    damage(file)  # found before others get it; the artifact beside it is whole and stays
    output = one_line(mine, "dvc", "push")
    assert output.startswith(f"cdred: damaged, so removed: {name}; `dvc pull` fetches")
    assert (mine.root / MODEL).read_bytes() == before
    mine.run("cdred", "record")
    assert file.read_bytes() == before

    damage(file)  # nor does a newer result, which DVC does not know yet, pay for it
    (mine.root / MODEL).unlink()
    (mine.root / MODEL).write_bytes(b"newer")
    one_line(mine, "cdred", "cache")
    assert (mine.root / MODEL).read_bytes() == b"newer"
    (mine.root / MODEL).write_bytes(before)
    mine.run("cdred", "record")

    damage(file)  # found when DVC has linked an artifact from it
    shutil.rmtree(mine.root / AGENT)
    done = mine.attempt("dvc", "checkout")
    assert done.returncode == 2
    assert f"damaged, so removed: {name}, {AGENT}; `dvc pull` fetches" in done.stderr
    assert planned(mine) >= {AGENT.removeprefix("artifacts/")}
    mine.run("dvc", "pull")
    accepts_everything(mine)


def test_half_a_file_from_a_broken_pull_is_fetched_again(mine: Project, tmp_path: Path) -> None:
    """DVC leaves one under its full name when the disk is full or the connection is cut."""
    use_remote(mine, str(tmp_path / "remote"))
    mine.run("dvc", "push", "-q")
    theirs = clone(mine, "theirs")
    theirs.run("dvc", "fetch", "-q")
    half = theirs.root / cached(mine, MODEL).relative_to(mine.root)
    half.chmod(0o644)
    os.truncate(half, half.stat().st_size // 2)
    assert f"damaged, so removed: {half.relative_to(theirs.root)};" in theirs.run("dvc", "pull")
    accepts_everything(theirs)


def test_a_damaged_remote_is_noticed_by_those_who_pull(mine: Project, tmp_path: Path) -> None:
    use_remote(mine, str(tmp_path / "remote"))
    mine.run("dvc", "push", "-q")
    name = cached(mine, MODEL).relative_to(mine.root / ".dvc/cache")
    damage(tmp_path / "remote" / name)
    theirs = clone(mine, "theirs")
    for _ in range(2):
        done = theirs.attempt("dvc", "pull")
        assert done.returncode == 2
        assert f"damaged, so removed: .dvc/cache/{name}, {AGENT};" in done.stderr
    assert planned(theirs) >= {AGENT.removeprefix("artifacts/")}
    shutil.copy(cached(mine, MODEL), tmp_path / "remote" / name)
    theirs.run("dvc", "pull")
    accepts_everything(theirs)
