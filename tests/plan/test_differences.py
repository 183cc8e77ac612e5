"""In what two artifacts differ, by kind: `cdred diff` of two manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdred.plan.differences import between

ONE, OTHER = "0" * 64, "1" * 64
MANIFEST = {
    "format": 2, "stage": "imitate", "task": "cup-catch", "entry": "cdred", "seed": 0,
    "digest": ONE, "params": {"steps": 1, "zeta": 0.8}, "code": {"cdred/a.py": ONE},
    "inputs": {"artifacts/demos/cup-catch/expert-5": ONE}, "files": {"curve.csv": ONE},
    "packages": {"torch": "2.11"}, "device": "cpu", "machine": "x86_64", "threads": 1,
}  # fmt: skip


def write(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | changes))
    return folder


@pytest.mark.parametrize(
    ("change", "kind", "lines"),
    [
        ({"seed": 1}, "identity", ["seed from 0 to 1"]),
        (
            {"params": {"steps": 1, "zeta": 0.9, "mpc": True}}, "parameters",
            ["mpc True is new", "zeta from 0.8 to 0.9"],
        ),
        (
            {"code": {"cdred/a.py": OTHER, "cdred/b.py": ONE}}, "code",
            ["cdred/a.py changed", "cdred/b.py is new"],
        ),
        (
            {"packages": {"numpy": "2.0", "torch": "2.12"}}, "packages",
            ["numpy 2.0 is new", "torch from 2.11 to 2.12"],
        ),
        (
            {"device": "cuda", "machine": "aarch64", "threads": 2}, "machine",
            ["device from cpu to cuda", "machine from x86_64 to aarch64", "threads from 1 to 2"],
        ),
        (
            {"inputs": {"artifacts/demos/cup-catch/expert-10": ONE}}, "inputs",
            [
                "artifacts/demos/cup-catch/expert-10 only in B",
                "artifacts/demos/cup-catch/expert-5 only in A",
            ],
        ),
        ({"files": {"curve.csv": OTHER}}, "results", ["curve.csv differs"]),
    ],
)  # fmt: skip
def test_what_differs_is_named_by_its_kind(
    tmp_path: Path, change: dict[str, Any], kind: str, lines: list[str]
) -> None:
    a, b = write(tmp_path / "a"), write(tmp_path / "b", **change)
    assert between(a, b) == [(kind, lines)]
    assert between(a, a) == []
