"""The command line, from its parsers. Not by argparse's own formatting, which differs between
versions of Python."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from cdred.cli.arguments import subparsers
from cdred.cli.main import parser
from cdred.reference.markdown import NOTE, table, text

HEAD = ("argument", "")


def page() -> str:
    top = parser()
    return text(
        "# Command line", NOTE,
        "In a checkout, after `source .venv/bin/activate`. What a user can mend ends with one line "
        "and exit code 2. `source <(cdred completion bash)` completes arguments.",
        *(part for name, p in subparsers(top) for part in _command(name, p)),
    )  # fmt: skip


def _command(name: str, p: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## cdred {name}"
    yield p.description or ""
    example = (p.epilog or "").removeprefix("example:\n").strip()
    yield f"```\n{example}\n```"
    rows = [_row(p, action) for action in p._actions if action.dest != "help"]
    if rows:
        yield table(HEAD, rows)


def _row(p: argparse.ArgumentParser, action: argparse.Action) -> tuple[str, str]:
    explained = argparse.HelpFormatter(p.prog)._expand_help(action)
    if not action.option_strings:
        more = " ..." if action.nargs in ("*", argparse.REMAINDER) else ""
        return f"`{_value(action)}{more}`", explained
    value = "" if action.nargs == 0 else f" {_value(action)}"
    names = ", ".join(f"`{option}{value}`" for option in action.option_strings)
    return names, explained + (" (required)" if action.required else "")


def _value(action: argparse.Action) -> str:
    if action.metavar:
        return str(action.metavar)
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()
