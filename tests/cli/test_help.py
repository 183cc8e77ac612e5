"""The command line about itself: help, examples, completion, the Makefile's targets."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cdred import suites
from cdred.cli import main
from cdred.cli.arguments import subparsers
from cdred.cli.main import parser

CHECKOUT = Path(__file__).resolve().parents[2]
COMMANDS = dict(subparsers(parser()))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_sentence_an_example_and_help_for_each_option(name: str) -> None:
    p = COMMANDS[name]
    assert p.description is not None and p.description.splitlines()[0].endswith(".")
    assert p.epilog is not None
    example = re.search(rf"\bcdred ({name}[^)\n]*)", p.epilog)
    assert example, "an example of this very command"
    assert parser().parse_args(shlex.split(example[1])).command == name
    assert not [action.dest for action in p._actions if not action.help]
    assert name in parser().format_help()
    p.format_help()  # no broken placeholder


def complete(line: str) -> set[str]:
    """The words that bash offers at the end of a line."""
    words = line.split(" ")
    script = subprocess.run(
        [sys.executable, "-m", "cdred", "completion", "bash"], capture_output=True, text=True,
        check=True, cwd=CHECKOUT,
    ).stdout  # fmt: skip
    asked = (
        f"{script}\nCOMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
        f"compopt() {{ :; }}\n_shtab_cdred; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, cwd=CHECKOUT)
    return set(done.stdout.split())


def test_a_shell_completes_commands_options_and_files() -> None:
    pytest.importorskip("shtab")
    assert complete("cdred st") == {"status", "strip"}
    assert {"--suite", "--missing"} <= complete("cdred tasks --")
    assert complete("cdred tasks --suite m") == {"metaworld", "maniskill2"}
    assert "config/toy.yaml" in complete("cdred use config/to")


def test_only_the_tasks_of_a_suite_or_those_that_lack_something(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["tasks", "--suite", "dmcontrol"]) == 0
    output = capsys.readouterr().out
    assert "cup-catch" in output and "mw-reach" not in output
    assert "each with the action applied twice" in output
    assert main(["tasks", "--suite", "own"]) == 0
    output = capsys.readouterr().out
    assert "each action applied once" in output and "twice" not in output

    monkeypatch.setattr(
        suites, "not_installed", lambda name: "nowhere" if name == "metaworld" else None
    )
    assert main(["tasks", "--missing", "--suite", "metaworld"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Meta-World") and "missing for all: nowhere" in output
    assert "mw-reach" in output and "cup-catch" not in output
    monkeypatch.setattr(suites, "not_installed", lambda name: None)
    assert main(["tasks", "--missing", "--suite", "dmcontrol"]) == 0
    assert capsys.readouterr().out == "nothing is missing on this machine\n"


def test_the_makefile_lists_its_targets_in_line() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    texts = {re.match(r"[a-z-]+ +", line).end() for line in lines}  # type: ignore[union-attr]
    assert len(lines) > 15 and len(texts) == 1
    assert max(map(len, lines)) <= 120
