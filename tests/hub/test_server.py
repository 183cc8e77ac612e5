"""A Hub that answers slowly, never, or with names that lead elsewhere: one line, and nothing outside
of the cache."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from support.loopback_hub import Fault, Hub, Repo
from support.project import CHECKOUT

from cdred import hub_client
from cdred.errors import CdredError
from cdred.hub import pull

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


def test_the_clients_own_settings_are_back_afterwards(hub: Hub) -> None:
    from huggingface_hub.utils import _http

    before = _http._GLOBAL_CLIENT_FACTORY
    pull.pull(NAME, "model")
    assert _http._GLOBAL_CLIENT_FACTORY is before
