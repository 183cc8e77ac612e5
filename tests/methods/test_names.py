"""No method's or suite's name is compared outside of its folder: registries say what each is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.project import CHECKOUT

from cdred import methods, suites

PACKAGE = CHECKOUT / "cdred"
NAMES = {*methods.folders(), *suites.NAMES}


def compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts in comparisons, those in a tuple, list or set among them, and in `case` of `match`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.MatchValue):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def elsewhere() -> Iterator[Path]:
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).parts
        if not (parts[0] in ("methods", "suites") and parts[1] in NAMES):
            yield file


def test_no_name_is_compared_elsewhere() -> None:
    # The package is called as one of its methods: comparing its name is comparing that.
    found = [
        f"{file.relative_to(CHECKOUT)}:{line}: {name}"
        for file in elsewhere()
        for line, name in compared(ast.parse(file.read_text()))
        if name in NAMES - {"cdred"}
    ]
    assert found == []


def test_a_comparison_would_be_noticed() -> None:
    source = "if x == 'bc' or x in ('red', y): pass\nmatch x:\n    case 'gail': pass\n"
    assert [name for _, name in compared(ast.parse(source))] == ["bc", "red", "gail"]
