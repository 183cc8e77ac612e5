"""A Hub that answers slowly, never, or with names that lead elsewhere: one line, and nothing outside
of the cache."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from support.loopback_hub import Fault, Hub, Repo
from support.project import CHECKOUT

from cdred import hub_client
from cdred.errors import CdredError
from cdred.hub import pull
from cdred.hub.agent import load_agent

NAME = "lab/agent"
FOLDER = "cdred-cartpole-balance-cdred-seed-0"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("published")
    shutil.unpack_archive(CHECKOUT / "tests/data/published-0.1.tar.xz", folder)
    found = (file for file in (folder / FOLDER).rglob("*") if file.is_file())
    return {file.relative_to(folder / FOLDER).as_posix(): file.read_bytes() for file in found}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        hub.repos["model", NAME] = Repo("model", NAME)
        hub.repos["model", NAME].commit("as it is", files)
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
        template = "{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{hub.endpoint}/{template}")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(hub_client, "PATIENCE", 2.0)
        monkeypatch.setattr(time, "sleep", lambda _: None)  # of the client, between attempts
        yield hub


def refused() -> str:
    with pytest.raises(CdredError) as caught:
        pull.pull(NAME, "model")
    line = str(caught.value)
    assert line.startswith(f"{NAME}: ") and line.isprintable()
    return line


@pytest.mark.parametrize("status", ["silent", "trickle"])
@pytest.mark.parametrize("path", ["/resolve/main/publication.json", "/tree/", "/model.safetensors"])
def test_a_server_that_does_not_go_on_is_given_up(hub: Hub, status: str, path: str) -> None:
    hub.faults.append(Fault("GET", path, status, times=99))
    assert "reached" in refused() or "no answer" in refused()
    hub.faults.clear()
    assert pull.pull(NAME, "model").folder.is_dir()


def test_what_is_here_stands_in_for_a_server_that_keeps_silent(hub: Hub) -> None:
    folder = pull.pull(NAME, "model").folder
    hub.faults.append(Fault("HEAD|GET", "", "silent", times=99))
    assert pull.pull(NAME, "model").folder == folder


@pytest.mark.parametrize("name", ["publication.json", "model.safetensors"])
def test_a_file_that_was_damaged_here_is_fetched_again(hub: Hub, name: str) -> None:
    file = pull.pull(NAME, "model").folder / name
    good = file.read_bytes()
    file.resolve().write_bytes(good[:100])
    hub.faults.append(Fault("HEAD|GET", "", "silent", times=99))
    assert f"{name}: " in refused()
    hub.faults.clear()
    assert (pull.pull(NAME, "model").folder / name).read_bytes() == good


@pytest.mark.parametrize("fault", [("GET", 503), ("GET", 500), ("HEAD", "cut"), ("GET", "cut")])
def test_a_server_that_fails_once_is_asked_again(hub: Hub, fault: tuple[str, Any]) -> None:
    method, status = fault
    hub.faults.append(Fault(method, "/resolve/.*model.safetensors", status))
    assert pull.pull(NAME, "model").folder.is_dir()
    assert hub.faults[0].times == 0


def test_a_token_that_may_not_read_is_told_so(hub: Hub) -> None:
    hub.faults.append(Fault("HEAD|GET", "/resolve/", 403, times=99))
    assert "the token may not read there (HTTP 403)" in refused()


def test_a_full_disk_of_the_cache_is_named() -> None:
    with pytest.raises(CdredError) as caught, pull.one_line(NAME, "model"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert f"{NAME}: {constants.HF_HUB_CACHE}" in str(caught.value)
    assert "make room and run the same again" in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "86400"},
        {"Retry-After": "9" * 5000},
        {"Retry-After": "\u00b2"},
        {"RateLimit": '"api";r=0;t=86400'},
    ],
)
def test_a_server_that_asks_to_be_called_tomorrow_is_given_up(
    hub: Hub, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    hub.faults.append(Fault("HEAD|GET", "/resolve/", 429, times=99, headers=headers))
    assert "too many requests; the same command goes on later (HTTP 429)" in refused()
    assert pauses and max(pauses) <= 11


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"../../../../../elsewhere"'},
        {"ETag": '"/tmp/elsewhere"'},
        {"ETag": '".."'},
        {"X-Linked-Etag": '"../../elsewhere"'},
        {"ETag": f'"{"x" * 300}"'},
        {"X-Repo-Commit": "../../../elsewhere"},
        {"X-Repo-Commit": "main"},
    ],
)
def test_no_name_leads_out_of_the_cache(hub: Hub, tmp_path: Path, headers: dict[str, str]) -> None:
    hub.faults.append(Fault("HEAD", "/resolve/", "", times=99, headers=headers))
    before = sorted(tmp_path.rglob("*"))
    assert ", not one of a Hub; refused" in refused()
    new = [file for file in sorted(tmp_path.rglob("*")) if file not in before]
    assert not [file for file in new if not file.is_relative_to(tmp_path / "home")]
    assert not list(tmp_path.rglob("*elsewhere*"))


def test_a_missing_file_of_a_commit_elsewhere(hub: Hub, tmp_path: Path) -> None:
    headers = {"X-Repo-Commit": "../../../elsewhere"}
    hub.repos["model", NAME].commit("empty", {"README.md": b""})
    hub.faults.append(Fault("HEAD", "/resolve/", "", times=99, headers=headers))
    assert "its X-Repo-Commit is '../../../elsewhere'" in refused()
    assert not list(tmp_path.rglob("*elsewhere*"))


def _header(table: Any, behind: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + behind


F32 = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        struct.pack("<Q", 2**63),
        _header(b"[" * 100_000),
        _header(b'{"a": {}, "a": {}}'),
        _header(b"\xff\xfe"),
        _header({}),
        _header({"\x1b[2J": F32}, bytes(16)),
        _header({"a": F32 | {"shape": [2**62, 2**62]}}, bytes(16)),
        _header({"a": F32 | {"data_offsets": [0, 2**62]}}, bytes(16)),
        _header({"a": F32 | {"dtype": "F" * 10_000}}, bytes(16)),
        _header({"__metadata__": {"x": "y" * 100_000}, "a": F32}, bytes(16)),
    ],
)
def test_weights_that_a_published_agent_holds_under_a_right_hash(
    hub: Hub, files: dict[str, bytes], weights: bytes
) -> None:
    """A careful forgery: every manifest states the hash of what is there."""
    forged = files | {"model.safetensors": weights}
    own = json.loads(forged["manifest.json"])
    own["files"]["pretrained_model/model.safetensors"] = hashlib.sha256(weights).hexdigest()
    forged["manifest.json"] = json.dumps(own).encode()
    evaluation = "lineage/artifacts/evaluations/cartpole-balance/cdred/seed_0/manifest.json"
    theirs = json.loads(forged[evaluation])
    digest = hashlib.sha256(forged["manifest.json"]).hexdigest()
    theirs["inputs"]["artifacts/agents/cartpole-balance/cdred/seed_0"] = digest
    forged[evaluation] = json.dumps(theirs).encode()
    publication = json.loads(forged["publication.json"])
    for name in publication["files"]:
        publication["files"][name] = hashlib.sha256(forged[name]).hexdigest()
    forged["publication.json"] = json.dumps(publication).encode()
    hub.repos["model", NAME].commit("forged", forged)
    with pytest.raises(CdredError) as caught:
        load_agent(NAME)
    line = str(caught.value)
    assert "model.safetensors: " in line and line.isprintable() and len(line) < 700


def test_the_clients_own_settings_are_back_afterwards(hub: Hub) -> None:
    from huggingface_hub.utils import _http

    before = _http._GLOBAL_CLIENT_FACTORY
    pull.pull(NAME, "model")
    assert _http._GLOBAL_CLIENT_FACTORY is before
