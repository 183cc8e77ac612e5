"""The `dvc` of a checkout: DVC, and around it what DVC finds out late or never.

- `repro`, `exp run`: no other engine runs jobs here.
- These and `status`: params.yaml is validated, nothing of others' is deleted, dvc.yaml and the
  digests are brought in line, and what Snakemake or a stage by hand made is recorded. After a
  `repro` everything is up to date, or this says what is not.
- `commit`: what is stale is not recorded, as it would be restored later.
- `push`, `pull`, `fetch`: the remote is there; what is damaged is neither pushed nor linked.

scripts/dvc calls this in a checkout. DVC alone is `python -m dvc`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import sys
from pathlib import Path
from typing import Any

import yaml

from cdred import manifest
from cdred.engines import dvc, dvc_storage
from cdred.errors import CdredError, without_secrets
from cdred.plan import Plan, dvc_lock
from cdred.system.exit_status import exit_status
from cdred.system.locks import IN_USE, hold_checkout

# Options of `repro` with which it does not make everything.
_PARTIAL = {"--dry", "-n", "--no-commit", "-s", "--single-item", "-d", "--downstream", "-P", "-R"}


def main(arguments: list[str]) -> int:
    """Run a command of DVC. Returns its exit status, 2 where cdred refuses."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if {"-h", "--help"} & set(arguments):
        return _dvc(arguments)
    _drop_torn_files(Path())
    if command == "status":
        return _follow(command, arguments)
    if command == "repro" or arguments[:2] in (["exp", "run"], ["experiments", "run"]):
        with hold_checkout(wait=2) as held:
            if not held:  # DVC would remove what the other makes
                raise CdredError(f"dvc {command}: {IN_USE}")
            return _follow(command, arguments)
    if command == "commit":
        _check_commit(Plan.load())
    elif command in ("push", "pull", "fetch"):
        dvc_storage.check_remote(command, arguments[1:])
        if command == "push":
            dvc_storage.drop_damaged()
        else:
            _drop_halves()
    status = _dvc(arguments)
    if status == 0 and command in ("pull", "fetch", "checkout"):
        dvc_storage.drop_damaged()
    return status


def _follow(command: str, arguments: list[str]) -> int:
    plan = Plan.load()
    dvc.check(plan)
    dvc.record_up_to_date(plan)
    status = _dvc(arguments)
    whole = all(word.startswith("-") and word not in _PARTIAL for word in arguments[1:])
    if command == "repro" and status == 0 and whole and (stale := Plan.load().stale()):
        raise CdredError(
            f"{sorted(stale)[0]}: not up to date, though DVC takes it for that; remove it and run "
            f"this again"
        )
    return status


def _check_commit(plan: Plan) -> None:
    dvc.check(plan)
    for job in plan.jobs:
        if (plan.root / job.path).exists():
            if not job.up_to_date(plan.root):
                raise dvc.stale_error(job)
            manifest.verify(plan.root / job.path, job.command)


def _drop_halves() -> None:
    """Before a pull: half a file, of a full disk or a cut connection, is fetched again."""
    try:
        dvc_storage.drop_damaged()
    except CdredError as exc:
        print(f"cdred: {exc}", file=sys.stderr)


def _dvc(arguments: list[str]) -> int:
    from dvc.cli import main as dvc_main

    logging.setLogRecordFactory(_public_record)
    return int(dvc_main(arguments))


def _public_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A line of a log: `dvc -v` tells the addresses of remotes, passwords included."""
    record = logging.LogRecord(*args, **kwargs)
    record.msg, record.args = without_secrets(record.getMessage()), ()
    return record


def _drop_torn_files(root: Path) -> None:
    """Remove what a DVC that was killed left half written, at which every later one would stop: the
    list of files in use, and dvc.lock, whose entries are made again from manifests."""
    guard, in_use, lock = (
        root / f for f in (".dvc/tmp/rwlock.lock", ".dvc/tmp/rwlock", "dvc.lock")
    )
    if not guard.is_file():
        return
    with guard.open("a") as handle, contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if in_use.is_file() and not _is_json(in_use):
            in_use.unlink()
        if lock.is_file() and not _is_yaml(lock):
            lock.rename(kept := root / ".cdred/dvc.lock.damaged")
            print(f"cdred: dvc.lock cannot be read; moved to {kept}", file=sys.stderr)


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _is_yaml(file: Path) -> bool:
    """Tell whether a file is YAML, or has two versions in it that a person is to choose from."""
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        return isinstance(dvc_lock.load(text), dict)
    except (ValueError, yaml.YAMLError):
        return "<<<<<<<" in text


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main(sys.argv[1:]))
