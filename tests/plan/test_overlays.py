"""`cdred use` loses no edit of params.yaml, and names what an overlay cannot extend."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
from support.configurations import GOOD

from cdred import config
from cdred.cli import main
from cdred.errors import CdredError
from cdred.plan import overlays


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an overlay a.yaml, and base.yaml above it."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/base.yaml").write_text("evaluation: {episodes: 3}\n")
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "cdred").symlink_to(Path(overlays.__file__).parents[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_edited_params_yaml_is_kept(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params, backup = checkout / "params.yaml", checkout / "params.yaml.bak"
    for _ in range(2):  # nothing of a user's is lost, neither at first nor again
        assert main(["use", "a.yaml"]) == 0
        assert not backup.exists()
    (checkout / "a.yaml").write_text(GOOD.replace("zeta: 0.7", "zeta: 0.6"))
    assert main(["use", "a.yaml"]) == 0
    assert not backup.exists() and "edited" not in capsys.readouterr().out
    edited = params.read_text().replace("zeta: 0.6", "zeta: 0.5")
    params.write_text(edited)
    assert main(["use", "a.yaml"]) == 0
    assert "zeta: 0.6" in params.read_text() and backup.read_text() == edited
    kept = "params.yaml had been edited: its former content is in params.yaml.bak"
    assert kept in capsys.readouterr().out.splitlines()


def test_nothing_is_written_through_a_link(checkout: Path) -> None:
    assert main(["use", "a.yaml"]) == 0
    (checkout / "params.yaml").write_text((checkout / "params.yaml").read_text() + "# mine\n")
    (checkout / "other").write_text("mine")
    (checkout / "params.yaml.bak").symlink_to("other")
    assert main(["use", "a.yaml"]) == 0
    assert (checkout / "other").read_text() == "mine"
    assert (checkout / "params.yaml.bak").read_text().endswith("# mine\n")


def test_a_params_yaml_that_is_no_file(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(checkout / "params.yaml")
    assert main(["use", "a.yaml"]) == 2
    assert capsys.readouterr().err == "cdred: params.yaml: not a regular file\n"


def test_a_bad_overlay_touches_nothing(checkout: Path) -> None:
    (checkout / "params.yaml").write_text("mine\n")
    (checkout / "a.yaml").write_text("experiment: [\n")
    assert main(["use", "a.yaml"]) == 2
    assert (checkout / "params.yaml").read_text() == "mine\n"
    assert not (checkout / "params.yaml.bak").exists()


@pytest.mark.parametrize("name", ["1e-3", "1e3", "0o17", "1", "010"])
def test_names_like_numbers_stay_names(checkout: Path, name: str) -> None:
    (checkout / "a.yaml").write_text(GOOD.replace("expert-5", f"'{name}'"))
    assert main(["use", "a.yaml"]) == 0
    assert [*config.load(Path("params.yaml")).demos] == [name]
    assert main(["use", "params.yaml"]) == 0


DISPLAYED = """
from dataclasses import replace
from cdred.methods import find
METHOD = replace(find("cdred"), display="displays:DISPLAY")
"""


@pytest.mark.parametrize(
    ("display", "reason"),
    [
        ("DISPLAY = 1", "displayed:METHOD: its display is of int, not a cdred.learning.display."),
        ("", "displays:DISPLAY: displays has no 'DISPLAY'; there are none"),
        ("from cdred.learning.display import Figure\nFigure('q', 'Q', ())", "a figure called 'q'"),
    ],
)
def test_a_display_that_no_report_can_show_is_refused_before_the_first_job(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, display: str, reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("displayed", "displays"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    (checkout / "displayed.py").write_text(DISPLAYED)
    (checkout / "displays.py").write_text(display)
    (checkout / "a.yaml").write_text(GOOD.replace("method: cdred", "method: displayed:METHOD"))
    assert main(["use", "a.yaml"]) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
    assert not (checkout / "params.yaml").exists()


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("[a.yaml, b.yaml]", r"\['a.yaml', 'b.yaml'\]: it must be the name of one file"),
        ("1", "1: it must be the name of one file"),
        ("{b.yaml: c}", r"{'b.yaml': 'c'}: it must be the name of one file"),
        *((name, "no file .{1,300}") for name in ("b.yaml", "/dev/zero", "x" * 900, "''")),
    ],
)
def test_what_is_no_overlay_is_not_extended(checkout: Path, extends: str, message: str) -> None:
    (checkout / "a.yaml").write_text(f"\nextends: {extends}\n")
    with pytest.raises(CdredError, match=rf"^a\.yaml:2: extends: {message}$"):
        overlays.resolve(Path("a.yaml"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"stages: [", b"[" * 3000, b""])
def test_a_damaged_dvc_yaml_is_written_again(checkout: Path, content: bytes) -> None:
    main(["use", "a.yaml"])
    whole = (checkout / "dvc.yaml").read_bytes()
    for name in ("dvc.yaml", "digests.yaml"):
        (checkout / name).write_bytes(content)
    assert main(["use", "a.yaml"]) == 0
    assert (checkout / "dvc.yaml").read_bytes() == whole
