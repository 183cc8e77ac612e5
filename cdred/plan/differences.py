"""The reasons why an artifact is not up to date, and the differences of two, by manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cdred import manifest
from cdred.errors import CdredError
from cdred.plan.jobs import Job, Plan, Present

MOST = 4  # differences of a kind that a line of `cdred status` names
IDENTITY = ("stage", "task", "entry", "seed")


class State(NamedTuple):
    """The state of a job's artifact, `up to date`, `stale` or `missing`; the reasons of its own
    why it is not; and whether it follows from inputs that are not up to date."""

    name: str
    reasons: list[str]
    follows: bool


def state(plan: Plan, job: Job) -> State:
    made = manifest.read(plan.root / job.path)
    if made is None:
        return State("missing", list(_without_manifest(plan.root / job.path)), False)
    if job.up_to_date(plan.root):
        return State("up to date", [], False)
    follows = not all(source.up_to_date(plan.root) for source in job.inputs)
    reasons = list(_reasons(plan, job, made))
    return State("stale", reasons if reasons or follows else ["made from other inputs"], follows)


def _without_manifest(directory: Path) -> Iterator[str]:
    if (directory / manifest.NAME).exists():
        try:
            manifest.load(directory)
        except CdredError as exc:
            reason = str(exc).removeprefix(f"{directory / manifest.NAME}: ")
            yield f"its {manifest.NAME} cannot be read: {reason}"
    elif directory.is_dir() and manifest.hash_tree(directory):
        yield f"it has lost its {manifest.NAME}"


def _reasons(plan: Plan, job: Job, made: dict[str, Any]) -> Iterator[str]:
    if made.get("format") != manifest.FORMAT:
        yield "made by an earlier version of cdred"
        return
    if files := manifest.missing_files(plan.root / job.path, made):
        yield _few([f"{name} is missing" for name in files])
    if made["digest"] != job.digest:
        key = job.dvc_params[0]
        yield from _all_few(values(made["params"], job.params, f"{key}."))
        yield from _all_few(code(made["code"], job.code))
    present = Present(plan.root)
    again = [
        source.path.as_posix()
        for source in job.inputs
        if source.up_to_date(plan.root, present)
        and made["inputs"].get(source.path.as_posix()) != present.hash(source.path)
    ]
    if again:
        yield f"{_few(again)} {'was' if len(again) == 1 else 'were'} made again"
    gone = made["inputs"].keys() - {source.path.as_posix() for source in job.inputs}
    yield from _all_few([f"{path} is no input any more" for path in sorted(gone)])


def values(before: Any, after: Any, prefix: str = "") -> list[str]:
    """The settings that differ between two nested mappings, with both values."""
    lines = []
    for key in sorted(before.keys() | after.keys()):
        name = f"{prefix}{key}"
        if key not in after:
            lines.append(f"{name} {_text(before[key])} is gone")
        elif key not in before:
            lines.append(f"{name} {_text(after[key])} is new")
        elif isinstance(before[key], dict) and isinstance(after[key], dict):
            lines += values(before[key], after[key], f"{name}.")
        elif before[key] != after[key]:
            lines.append(f"{name} from {_text(before[key])} to {_text(after[key])}")
    return lines


def code(before: Any, after: Any) -> list[str]:
    """The files of code that differ between two tables of hashes."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if before == after else ["the code, which an earlier version hashed as a whole"]
    how = dict.fromkeys(after.keys() - before.keys(), "is new")
    how |= dict.fromkeys(before.keys() - after.keys(), "is gone")
    return [
        f"{name} {how.get(name, 'changed')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def between(a: Path, b: Path) -> list[tuple[str, list[str]]]:
    """In what two artifacts differ, by kind; only kinds in which they do.

    Raises CdredError when one of them has no manifest.
    """
    one, other = _read(a), _read(b)
    machine = ("machine", "device", "threads", "format")
    kinds = {
        "identity": values(_only(one, IDENTITY), _only(other, IDENTITY)),
        "parameters": values(one["params"], other["params"]),
        "code": code(one["code"], other["code"]),
        "packages": values(one.get("packages", {}), other.get("packages", {})),
        "machine": values(_only(one, machine), _only(other, machine)),
        "inputs": _contents(one["inputs"], other["inputs"]),
        "results": _contents(one["files"], other["files"]),
    }
    return [(kind, lines) for kind, lines in kinds.items() if lines]


def _contents(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The names whose hashes differ between two tables."""
    how = dict.fromkeys(after.keys() - before.keys(), "only in B")
    how |= dict.fromkeys(before.keys() - after.keys(), "only in A")
    return [
        f"{name} {how.get(name, 'differs')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _read(directory: Path) -> dict[str, Any]:
    if not (directory / manifest.NAME).exists():
        raise CdredError(f"{directory}: no such artifact; name a directory with a manifest.json")
    return manifest.load(directory)


def _only(content: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: content[key] for key in keys if key in content}


def _all_few(lines: list[str]) -> list[str]:
    return [_few(lines)] if lines else []


def _few(lines: list[str]) -> str:
    rest = len(lines) - MOST
    return ", ".join(lines[:MOST]) + (f" and {rest} more" if rest > 0 else "")


def _text(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
