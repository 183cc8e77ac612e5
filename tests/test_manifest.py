"""Manifests: those of earlier versions are still read, and their digests still follow from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.project import CHECKOUT

from cdred import manifest
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


@pytest.mark.parametrize(
    "broken",
    ["", "null", "[]", "{}", '{"stage": 1}', "\x00", '{"files": 3, ALL}', '{"params": [], ALL}'],
)
def test_what_is_no_manifest_is_none(broken: str, tmp_path: Path) -> None:
    rest = {name: {} for name in manifest.REQUIRED if f'"{name}"' not in broken}
    text = broken.replace("ALL", json.dumps(rest)[1:-1])
    (tmp_path / manifest.NAME).write_text(text)
    assert manifest.read(tmp_path) is None


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
