"""Only what this tool wrote is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdred.errors import CdredError
from cdred.plan import ownership

PLACE = Path("artifacts/x")


@pytest.mark.parametrize(
    ("noted", "name", "replaced"),
    [
        (True, "data.txt", True),
        (True, "Thumbs.db", True),
        (True, "sub/.DS_Store", True),
        (True, ".git/config", False),
        (True, "notes.txt", False),
        (False, ".env", False),
        (False, "data.txt", False),
    ],
)
def test_what_may_be_replaced(noted: bool, name: str, replaced: bool, tmp_path: Path) -> None:
    (tmp_path / PLACE / name).parent.mkdir(parents=True)
    (tmp_path / PLACE / name).touch()
    if noted:
        ownership.note(tmp_path, PLACE, ["data.txt"])
    if replaced:
        ownership.check_target(tmp_path, PLACE)
    else:
        with pytest.raises(CdredError, match="move it away"):
            ownership.check_target(tmp_path, PLACE)


def test_a_link_to_nothing_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / PLACE).symlink_to("nothing")
    with pytest.raises(CdredError, match="artifacts/x: exists and was not made by cdred"):
        ownership.check_target(tmp_path, PLACE)
