"""Manifests: those of earlier versions are still read, and their digests still follow from them."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from support.project import CHECKOUT

from cdred import manifest
from cdred.errors import CdredError
from cdred.plan import code

PUBLISHED = CHECKOUT / "tests/data/published-0.1.tar.xz"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    shutil.unpack_archive(PUBLISHED, folder)
    return folder


def test_the_digests_of_what_was_published_before_still_follow(published: Path) -> None:
    seen = 0
    for repository in published.iterdir():
        known = {
            file.parent.relative_to(repository / "lineage").as_posix(): file.parent
            for file in repository.rglob("lineage/**/manifest.json")
        }
        for folder in (repository, *known.values()):
            content = manifest.read(folder)
            assert content is not None and content["format"] == 1
            if content["inputs"].keys() <= known.keys():
                inputs = {name: known[name] for name in content["inputs"]}
                digests = {name: _digest(place) for name, place in inputs.items()}
                assert manifest.derive(content, digests) == content["digest"]
                seen += 1
    assert seen >= 4


def _digest(folder: Path) -> str:
    content = manifest.read(folder)
    assert content is not None
    return str(content["digest"])


SHA = "0" * 64
GOOD = {
    "format": 2, "stage": "expert", "task": "cup-catch", "entry": "expert", "seed": 0,
    "digest": SHA, "params": {"steps": 1}, "code": {"cdred/a.py": SHA}, "inputs": {},
    "files": {"pretrained_model/config.json": SHA}, "packages": {"torch": "2"}, "device": "cpu",
    "machine": "x86_64",
}  # fmt: skip


def test_a_good_manifest_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / manifest.NAME).write_text(json.dumps(GOOD))
    assert manifest.read(tmp_path) == GOOD


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *(({name: None}, f"{name}[:.]") for name in GOOD),
        ({"format": 99}, "format: must be 1 or 2"),
        ({"stage": "publish"}, "stage: must be 'expert', 'demos'"),
        ({"seed": True}, "seed: must be a valid integer"),
        ({"seed": -1}, "seed: "),
        ({"entry": "../x"}, "entry: not a relative path"),
        ({"digest": "0"}, "digest: "),
        ({"code": "f" * 63}, "code"),
        ({"files": {}}, "files: "),
        ({"threads": 10**9}, "threads: "),
        ({"packages": []}, "packages: "),
        ({"inputs": {"artifacts/../../x": SHA}}, "not a relative path"),
        *(
            ({"files": {name: SHA}}, "not a relative path")
            for name in ("", "/x", "C:/x", "../x", "a//b", "a/./b", "a\\b", "x" * 300, "NUL", "a/com1.csv",
                         "a/", "*.csv", "<b>.csv", "a b", "a.", "$HOME", "d/" * 600 + "x")
        ),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused_by_its_field(
    change: dict, reason: str, tmp_path: Path
) -> None:
    (tmp_path / manifest.NAME).write_text(json.dumps(GOOD | change))
    assert manifest.read(tmp_path) is None
    with pytest.raises(CdredError, match=reason) as caught:
        manifest.verify(tmp_path, "cdred expert")
    assert str(caught.value).startswith(f"{tmp_path / manifest.NAME}: ")
    assert "\n" not in str(caught.value) and "`cdred expert` makes it" in str(caught.value)


@pytest.mark.parametrize("name", GOOD)
def test_a_manifest_that_lacks_a_field_is_refused(name: str, tmp_path: Path) -> None:
    rest = {key: value for key, value in GOOD.items() if key != name}
    (tmp_path / manifest.NAME).write_text(json.dumps(rest))
    with pytest.raises(CdredError, match=f"{name}: Field required"):
        manifest.load(tmp_path)


def test_a_table_of_code_that_is_anybodys_reads_nothing_elsewhere(tmp_path: Path) -> None:
    inside = tmp_path / "checkout"
    inside.mkdir()
    for file in (tmp_path / "secret.py", inside / "own.py"):
        file.write_text("x = 1\n")
    known = code.hash_file(inside / "own.py")
    assert code.is_same(inside, {"own.py": known})
    assert not code.is_same(inside, {"../secret.py": known})
    assert not code.is_same(inside, {str(tmp_path / "secret.py"): known})
    assert not code.is_same(inside, {"gone.py": known})
    (inside / "own.py").write_text("x = (")
    assert not code.is_same(inside, {"own.py": known})


HIDDEN = [
    ".DS_Store", "data/._main_data.hdf5", ".nfs0000001", ".git/config", "Thumbs.db", "Desktop.ini",
]  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_what_file_browsers_leave_is_no_part_of_an_artifact(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/weights").write_text("w")
    fields = {key: GOOD[key] for key in GOOD.keys() - {"files"}}
    manifest.write(tmp_path, fields)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    content = manifest.verify(tmp_path, "cdred expert")
    assert list(content["files"]) == ["data/weights"]
    # Listed in a manifest it cannot be checked, so it is refused.
    content["files"][name] = manifest.hash_file(tmp_path / name)
    (tmp_path / manifest.NAME).write_text(json.dumps(content))
    with pytest.raises(CdredError, match=r"missing|not a relative path"):
        manifest.verify(tmp_path, "cdred expert")
    (tmp_path / "data/visible").write_text("x")
    assert "data/visible" in manifest.hash_tree(tmp_path)


def test_a_manifest_that_may_not_be_read_is_not_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's artifact would be made again over it."""
    assert manifest.read(tmp_path) is None
    (tmp_path / manifest.NAME).write_text("{}")
    assert manifest.read(tmp_path) is None

    def refuse(*args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CdredError, match=r"manifest.json: cannot be read: Permission denied"):
        manifest.read(tmp_path)
