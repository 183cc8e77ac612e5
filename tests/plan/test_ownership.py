"""Only what this tool wrote is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

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


@pytest.mark.parametrize("where", [".dvc/cache", "../shared"])
def test_what_dvc_pulled_is_ours_wherever_its_cache_is(where: str, tmp_path: Path) -> None:
    """`dvc cache dir` writes the place relative to its own folder."""
    root, cache = tmp_path / "checkout", (tmp_path / "checkout" / where)
    (root / PLACE).mkdir(parents=True)
    (root / PLACE / "data.txt").touch()
    (root / ".dvc").mkdir()
    if where != ".dvc/cache":
        (root / ".dvc/config").write_text("[core]\n    remote = lab\n")
        (root / ".dvc/config.local").write_text("[cache]\n    dir = ../../shared\n")
    md5 = "0123456789abcdef0123456789abcdef.dir"
    listing = cache / "files/md5" / md5[:2] / md5[2:]
    listing.parent.mkdir(parents=True)
    listing.write_text(json.dumps([{"md5": "1" * 32, "relpath": "data.txt"}]))
    out = {"path": PLACE.as_posix(), "hash": "md5", "md5": md5, "size": 1, "nfiles": 1}
    stages = {"schema": "2.0", "stages": {"x": {"cmd": "x", "outs": [out]}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(stages))
    ownership.check_target(root, PLACE)
    listing.unlink()
    with pytest.raises(CdredError, match="move it away"):
        ownership.check_target(root, PLACE)
