"""Modules that the engines read while they plan import neither numpy nor torch."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

HEAVY = ("gymnasium", "matplotlib", "numpy", "pandas", "torch", "tqdm")
# Snakemake's environment on clusters has these, with what they are made of.
EXPECTED = (
    "cdred", "yaml", "_yaml", "pydantic", "annotated_types", "typing_", "filelock", "_cython",
    "cython_runtime", "_sysconfigdata",
)  # fmt: skip


def modules(*packages: str) -> list[str]:
    """The modules of packages, themselves included."""
    found = []
    for package in packages:
        path = getattr(import_module(package), "__path__", ())
        found += [package, *(m.name for m in pkgutil.walk_packages(path, f"{package}."))]
    return found


LIGHT = [
    *modules("cdred.config", "cdred.plan", "cdred.engines", "cdred.system", "cdred.cli"),
    "cdred", "cdred.envs.tasks", "cdred.methods", "cdred.report.catalogue",
    "cdred.report.experiment", "cdred.suites",
    *(name for name in modules("cdred.suites") if name.endswith(".tasks")),
    *(
        name
        for name in modules("cdred.methods")
        if name.endswith((".display", ".method", ".settings"))
    ),
]  # fmt: skip


def test_parse_time_modules_load_nothing_heavy() -> None:
    code = f"""
import sys
before = set(sys.modules)
for name in {LIGHT!r}:
    __import__(name)
print(*sorted(set(sys.modules) & set({HEAVY!r})))
print(*sorted({{name.split(".")[0] for name in set(sys.modules) - before}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, top = done.stdout.splitlines()
    assert heavy == ""
    others = set(top.split()) - set(sys.stdlib_module_names)
    assert not {name for name in others if not name.startswith(EXPECTED)}


@pytest.mark.parametrize("name", ["use", "status", "check"])
def test_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    code = (
        "import sys; from cdred.cli import main\n"
        f"try: main([{name!r}, '--help'])\nexcept SystemExit: pass\n"
        f"print(*(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
