"""Variables of the Hub's client are checked where they are read."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from cdred import network
from cdred.errors import CdredError
from cdred.tracking import delivery


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("HF_TOKEN", "hf_\u00e9", "HF_TOKEN: holds a character that no token has"),
        ("HF_TOKEN", "hf_\x07", "HF_TOKEN: holds a character that no token has"),
        ("HF_HOME", "/dev/null", "HF_HOME=/dev/null: not a directory"),
        ("HF_ENDPOINT", "http://ada:pw@[::1", "HF_ENDPOINT=http://[::1: not an address"),
        ("HF_ENDPOINT", "http://ada:p/w@hub", "HF_ENDPOINT=http://hub: not an address"),
        ("HF_ENDPOINT", "hub.lab", "HF_ENDPOINT=hub.lab: not an address"),
        ("HF_ENDPOINT", "http://a b", "not an address"),
        ("HF_ENDPOINT", "http://", "not an address"),
    ],
)
def test_a_variable_that_cannot_be_used(
    name: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CdredError) as caught:
        network.hub()
    assert line in str(caught.value)


def test_a_hub_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://ada:pw@127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(network, "SECONDS", 0.1)
        start = time.monotonic()
        with pytest.raises(CdredError, match=r"^http://127\.0\.0\.1:\d+ cannot be reached: "):
            network.ask_hub()
        assert time.monotonic() - start < 20  # without, 5 attempts and their pauses


def test_an_address_of_mlflow_that_cannot_be_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:hunter/22@server")
    with pytest.raises(CdredError, match=r"^MLFLOW_TRACKING_URI: not an address"):
        delivery.tracking_uri(tmp_path)


def test_a_database_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
        uri = f"postgresql://ada:pw@127.0.0.1:{server.getsockname()[1]}/db"
        with pytest.raises(OperationalError, match="timeout expired"):
            delivery._ask_database(uri)
