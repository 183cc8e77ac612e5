"""The code of a job: what it imports counts, by meaning; nothing else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.project import CHECKOUT

from cdred.errors import CdredError
from cdred.plan.code import COMMON, RUNS, Code, decides, hash_source

FILES = {
    "shop/__init__.py": "",
    "shop/errors.py": "class ShopError(Exception): ...\n",
    "shop/core.py": "from shop import methods\nfrom shop.parts.wheel import turn\n",
    "shop/parts/__init__.py": "from .axle import fit\n",
    "shop/parts/wheel.py": "def turn():\n    from shop.parts import late\n",
    "shop/parts/axle.py": "import os, json as fit\n",
    "shop/parts/late.py": "",
    "shop/parts/unused.py": "x = 1\n",
    "shop/checked.py": "",
    "shop/typed.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop import checked\n"
        "else:\n    import shop.parts.late\n"
    ),
    "shop/methods/__init__.py": "import importlib\nfrom shop.methods import red, blue\n",
    "shop/methods/red/__init__.py": "from shop.methods.blue import paint\n",
    "shop/methods/blue/__init__.py": "from shop.methods.blue import paint\n",
    "shop/methods/blue/paint.py": "",
    "shop/methods/green/__init__.py": "",
    "mine.py": "from shop.methods.blue.paint import *\nimport beside\n",
    "beside.py": "import importlib\nimportlib.import_module('shop.parts.late')\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def files(root: Path, *entries: str) -> set[str]:
    return set(Code(root, ("shop.methods",)).table(entries))


def test_what_an_entry_imports_counts_and_nothing_else(shop: Path) -> None:
    common = {
        "shop/__init__.py", "shop/core.py", "shop/methods/__init__.py", "shop/parts/__init__.py",
        "shop/parts/axle.py", "shop/parts/late.py", "shop/parts/wheel.py",
    }  # fmt: skip
    assert files(shop, "shop.core") == common
    assert files(shop, "shop.core", "shop.methods.green") == {
        *common, "shop/methods/green/__init__.py",
    }  # fmt: skip


def test_a_method_may_build_on_another(shop: Path) -> None:
    blue = {"shop/methods/blue/__init__.py", "shop/methods/blue/paint.py"}
    both = files(shop, "shop.methods.red")
    assert both >= {"shop/methods/red/__init__.py"} | blue
    assert "shop/methods/red/__init__.py" not in files(shop, "shop.methods.blue")


def test_imports_for_type_checkers_do_not_count(shop: Path) -> None:
    assert files(shop, "shop.typed") == {
        "shop/__init__.py", "shop/typed.py", "shop/parts/__init__.py", "shop/parts/axle.py",
        "shop/parts/late.py",
    }  # fmt: skip


def test_a_module_of_ones_own_counts_with_what_it_imports(shop: Path) -> None:
    found = files(shop, "mine")
    assert found >= {"mine.py", "beside.py", "shop/methods/blue/paint.py", "shop/parts/late.py"}


def test_an_entry_that_is_not_there_is_named(shop: Path) -> None:
    with pytest.raises(CdredError, match=r"^shop/gone.py: missing: params.yaml names shop.gone, "):
        files(shop, "shop.gone")
    (shop / "shop/core.py").write_text("def f(:\n")
    with pytest.raises(CdredError, match=r"^shop/core.py:1: not valid Python: "):
        files(shop, "shop.core")


def test_declared_data_counts_by_bytes(shop: Path) -> None:
    (shop / "pyproject.toml").write_text(
        '[tool.setuptools.package-data]\n"shop.parts" = ["*.csv", "pages/*.j2"]\n'
        '"shop.methods.green" = ["*.csv"]\n'
    )
    (shop / "shop/parts/pages").mkdir()
    for name in ("a.csv", "a.csv~", ".b.csv", "pages/a.j2", "pages/#a.j2#"):
        (shop / "shop/parts" / name).write_text("1")
    (shop / "shop/methods/green/c.csv").write_text("1")
    before = Code(shop, ("shop.methods",)).table(["shop.core"])
    data = {name for name in before if not name.endswith(".py")}
    assert data == {"shop/parts/a.csv", "shop/parts/pages/a.j2"}
    (shop / "shop/parts/a.csv").write_text("2")
    after = Code(shop, ("shop.methods",)).table(["shop.core"])
    assert {name for name in after if after[name] != before[name]} == {"shop/parts/a.csv"}


MEANING = b'''
"""A module."""
class A:
    """A class."""
    x: int = 1

def f(a, *, b=2):
    """A function."""
    return f"{a!r:>3}{b:>{a}}", b"x", (1 + a) * b  # why
'''


@pytest.mark.parametrize(
    "same",
    [
        MEANING.replace(b"A module", b"Other words"),
        MEANING.replace(b'    """A function."""\n', b""),
        MEANING.replace(b'"""A class."""', b"'''\n    A long one.\n    '''"),
        MEANING.replace(b"  # why", b""),
        MEANING.replace(b"\n\n", b"\n\n\n\n"),
        MEANING.replace(b"(1 + a) * b", b"((1 + a) * (b))"),
        MEANING.replace(b'"x"', b"'x'"),
    ],
)
def test_what_means_the_same_has_the_same_hash(same: bytes) -> None:
    assert same != MEANING
    assert hash_source(same) == hash_source(MEANING)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"x: int = 1", b"x: int = True"),
        (b"1 + a", b"1.0 + a"),
        (b"b=2", b"b='2'"),
        (b"(1 + a) * b", b"1 + a * b"),
        (b"*, b", b"b"),
        (b"!r", b"!s"),
        (b'b"x"', b'"x"'),
        (b"return", b"yield"),
    ],
)
def test_what_means_something_else_has_another(old: bytes, new: bytes) -> None:
    assert hash_source(MEANING.replace(old, new)) != hash_source(MEANING)


def test_the_hash_is_the_same_by_every_python() -> None:
    """A job's digest is computed on cluster nodes and in images of other versions."""
    expected = "3e507f99e2a337a792419647909b049990349b56b9bb6cd8c019fe5d201533bc"
    assert hash_source(MEANING) == expected


# ---- the line between what decides results and what runs jobs -----------------------------------


def test_nothing_that_decides_results_imports_what_runs_jobs() -> None:
    code = Code(CHECKOUT)
    for file in sorted((CHECKOUT / "cdred").rglob("*.py")):
        module = ".".join(file.relative_to(CHECKOUT).with_suffix("").parts)
        module = module.removesuffix(".__init__")
        if not decides(module):
            continue
        across = {
            name
            for name in code._parse(module)[1]
            if code.file(name) and not decides(name) and name not in COMMON
        }
        assert not across, module


def test_the_line_is_one_between_packages() -> None:
    for name in RUNS:
        assert not any(decides(f"{name}.{rest}") for rest in ("a", "a.b")) and not decides(name)
    assert decides("cdred.learning") and decides("cdred.planner")  # no prefix of a name counts


def test_what_reads_the_configuration_loads_neither_numpy_nor_torch() -> None:
    program = (
        "import sys, cdred.run.stages, cdred.engines.snakemake, cdred.engines.dvc;"
        "print({'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=CHECKOUT
    )
    assert done.stdout == "set()\n", done.stderr


def test_what_was_loaded_beside_the_listed_is_noticed(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(shop))
    for name in [name for name in sys.modules if name.split(".")[0] in ("shop", "mine", "beside")]:
        monkeypatch.delitem(sys.modules, name)
    code = Code(shop, ("shop.methods",))
    table = code.table(["shop.parts.wheel"])
    import shop.parts.wheel  # type: ignore[import-not-found]

    assert code.unlisted(table) == []
    import shop.methods.green
    import shop.parts.unused  # type: ignore[import-not-found]

    assert code.unlisted(table) == [
        "shop/methods/__init__.py", "shop/methods/blue/__init__.py",
        "shop/methods/blue/paint.py", "shop/methods/green/__init__.py",
        "shop/methods/red/__init__.py", "shop/parts/unused.py",
    ]  # fmt: skip


# ---- methods and tasks that an installed package registers --------------------------------------


def test_an_entry_point_is_found_by_its_name_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdred import methods, plugins
    from cdred.envs.tasks import find
    from cdred.plan.entries import agent_modules, own_modules

    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/__init__.py").touch()
    (tmp_path / "lab/method.py").write_text(
        "from cdred.methods.bc.method import METHOD as BC\nMETHOD = BC\n"
    )
    (tmp_path / "lab/task.py").write_text("def make(): ...\n")
    (tmp_path / "lab-1.0.dist-info").mkdir()
    (tmp_path / "lab-1.0.dist-info/METADATA").write_text("Name: lab\nVersion: 1.0\n")
    (tmp_path / "lab-1.0.dist-info/entry_points.txt").write_text(
        "[cdred.methods]\nlab-cloning = lab.method:METHOD\n"
        "[cdred.tasks]\nlab-task = lab.task:make\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.entry_points.cache_clear()
    try:
        assert "lab-cloning" in methods.names()
        assert methods.find("lab-cloning").module == "lab.method"
        assert find("lab-task").suite == "own" and own_modules(["lab-task"]) == ["lab.task"]
        entries = [*agent_modules("lab-cloning"), *own_modules(["lab-task"])]
        before = Code(CHECKOUT).table(entries)
        assert before.keys() >= {"lab/__init__.py", "lab/method.py", "lab/task.py"}
        (tmp_path / "lab/task.py").write_text("def make(): ...\nx = 1\n")
        after = Code(CHECKOUT).table(entries)
        assert {name for name in after if after[name] != before.get(name)} == {"lab/task.py"}
    finally:
        plugins.entry_points.cache_clear()
        for name in [name for name in sys.modules if name.split(".")[0] == "lab"]:
            del sys.modules[name]
