"""Spools, and what stands beside them, that are damaged or no files: left out, never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cdred.tracking import delivery, spool

NAME = "local-0123456789abcdef-1.jsonl"
RUN: dict[str, Any] = {
    "kind": "run", "pid": 1, "host": "h", "experiment": "e", "name": "n",
    "params": {}, "tags": {}, "dataset": None, "time": 1,
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / spool.SPOOL).mkdir(parents=True)
    return tmp_path / spool.SPOOL / NAME


@pytest.mark.parametrize(
    "line",
    [
        b"[1]", b"7", b"null", b"[" * 100_000, b"\xff", b"{}", b'{"kind": "x", "time": 1}',
        *(json.dumps(RUN | one).encode() for one in ({"pid": "x"}, {"pid": 10**20}, {"host": None})),
        json.dumps({k: v for k, v in RUN.items() if k != "host"}).encode(),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_left_out(file: Path, line: bytes) -> None:
    good = json.dumps(RUN).encode()
    file.write_bytes(good + b"\n" + line + b"\n" + good + b"\n")
    assert [found["kind"] for found in spool.read_lines(file)] == ["run", "run"]
    assert delivery.waiting(file.parents[2]) == [file]
    assert not delivery.is_alive(file)


@pytest.mark.parametrize(
    "content",
    ["[1]", "{}", '{"offset": "x"}', "[" * 100_000,
     *(json.dumps({"run_id": None, "destination": "local", "offset": n}) for n in (-5, 10**23))],
)  # fmt: skip
def test_how_far_it_is_delivered_is_known_or_not(file: Path, content: str) -> None:
    file.write_text(json.dumps(RUN) + "\n")
    file.with_suffix(".sent").write_text(content)
    assert delivery.waiting(file.parents[2]) == [file]  # all of it


def test_names_and_kinds_of_files(file: Path) -> None:
    root = file.parents[2]
    for name in ("x.jsonl", "local-x-1.jsonl", "local-\x1b[2J-1.jsonl"):
        file.with_name(name).write_text(json.dumps(RUN) + "\n")
    os.mkfifo(file)
    assert delivery.waiting(root) == [] and not delivery.alive(root)
    file.with_name("error.txt").write_text("\x1b[2Jgone")
    assert delivery.last_error(root) == r"\x1b[2Jgone"
    file.with_name("error.txt").write_bytes(b"\xff" * 10**6)
    assert delivery.last_error(root) == ""


@pytest.mark.parametrize("gone", ["run", "database"])
def test_a_run_that_is_gone_is_sent_again(
    file: Path, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would wait for ever."""
    root = file.parents[2]
    monkeypatch.delenv(spool.SERVER, raising=False)
    monkeypatch.setattr(delivery, "destination", lambda: "local")
    points = [
        {"kind": "metrics", "time": k, "table": "metrics", "at": [k, k], "values": {"loss": k / 2}}
        for k in (1, 2)
    ]
    end = {"kind": "end", "time": 3, "status": "FINISHED", "tags": {}, "files": []}

    def append(*lines: dict[str, Any]) -> None:
        with file.open("a") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)

    append(RUN, points[0])
    first = delivery.Delivery(root)
    first.send(file)
    if gone == "run":
        first.client.delete_run(first._find(first.experiment("e"), file.stem))
    else:  # another, at the same address
        monkeypatch.setenv(spool.SERVER, f"sqlite:///{root}/other.db")
    append(points[1], end)
    again = delivery.Delivery(root)
    assert again.send_all([file]) == [] and not file.exists()
    (run,) = again.client.search_runs([again.experiment("e")])
    history = again.client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 1.0)]
    assert run.info.status == "FINISHED"
