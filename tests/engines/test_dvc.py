"""Failures of DVC: one line with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdred.engines import dvc, sharing
from cdred.errors import CdredError

CONFLICT = "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n"


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "not a git repository"),
        ({".dvc/config": "[core\n"}, "Invalid line"),
        ({".dvc/config": CONFLICT}, "config file error"),
        ({".dvc/config": "[core]\nno_scm = true\n", "dvc.lock": CONFLICT}, "dvc.lock: not as DVC writes it"),
        ({".dvc/config": "[core]\nno_scm = true\n", "dvc.lock": "- a\n"}, "dvc.lock: not as DVC writes it"),
        ({".dvc/config": "[core]\nno_scm = true\n", "dvc.lock": "stages: {check: 3}\n"}, "dvc.lock: not as DVC writes it"),
    ],
)  # fmt: skip
def test_a_checkout_that_dvc_cannot_read(
    files: dict[str, str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CdredError) as caught:
        sharing.drop_damaged()
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_errors_of_ours_pass(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    with pytest.raises(CdredError, match=r"^mine$"), dvc.repository(tmp_path):
        raise CdredError("mine")
    with pytest.raises(CdredError, match=r"^dvc: first: second$"), dvc.repository(tmp_path):
        raise RuntimeError("first") from ValueError("second")
