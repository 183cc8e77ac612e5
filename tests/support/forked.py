"""Processes forked from one that has imported already what they need, which takes seconds.

A Python process has one fork server at most, so there is one list of what it imports. That holds
this checkout's cdred, for stages that are killed (see killing.py); a program of a project of its
own forgets it first, and imports that project's.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "snakemake.cli", "snakemake.api", "snakemake.workflow", "snakemake.executors.local",
        "snakemake.executors.touch", "snakemake.executors.dryrun", "dvc.cli", "dvc.commands.repro",
        "dvc.repo", "dvc.repo.reproduce", "dvc.repo.commit", "dvc.repo.status", "dvc.repo.pull",
        "dvc.stage", "dvc.dependency", "dvc.output", "yaml", "filelock", "support.forked",
        # Not the simulators: a stage chooses how they are loaded.
        "torch._dynamo", "cdred.learning.train", "cdred.learning.saving", "cdred.evaluation",
        "cdred.demos", "minari", "cdred.run.stages",
    ]
)  # fmt: skip


class Program:
    """`snakemake`, `dvc` or `cdred`, the leader of a process group of its own. What `cdred` does is
    the main function of the module `cdred`; its errors go where its output goes unless told."""

    def __init__(
        self,
        root: Path,
        *command: str,
        environment: Mapping[str, str],
        output: Path,
        errors: Path | None = None,
        cdred: str = "cdred.cli",
    ) -> None:
        self.output = output
        self.output.unlink(missing_ok=True)  # that of the last one
        self.process = FORKS.Process(
            target=_run, args=(root, command, dict(environment), output, errors or output, cdred)
        )
        self.process.start()

    def wait(self) -> int:
        """Its exit status, negative if a signal ended it."""
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def kill(self, signum: int, group: bool) -> None:
        """Send a signal to the program, or to it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            assert self.process.pid is not None
            (os.killpg if group else os.kill)(self.process.pid, signum)


def _run(
    root: Path, command: tuple[str, ...], environment: dict[str, str], output: Path, errors: Path,
    cdred: str,
) -> None:  # fmt: skip
    gc.freeze()  # what is there already is not looked at again
    os.setsid()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(root)
    os.environ.clear()
    os.environ |= environment
    for file, descriptor in ((output, 1), (errors, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "cdred"]:
        del sys.modules[name]
    sys.path.insert(0, str(root))
    bin = Path(environment["PATH"].split(os.pathsep)[0])
    sys.executable = str(bin / "python")
    sys.argv = [str(bin / command[0]), *command[1:]]
    sys.exit(_main(command[0], list(command[1:]), cdred))


def _main(program: str, arguments: list[str], cdred: str) -> int:
    if program == "snakemake":
        from snakemake.cli import main

        main(arguments)  # ends the process itself
        return 0
    if program == "dvc":
        from cdred.engines import dvc_command

        return dvc_command.main(arguments)
    status: int = importlib.import_module(cdred).main(arguments)
    return status


def until(condition, seconds: float = 60.0) -> None:  # type: ignore[no-untyped-def]
    """Wait for a condition, and fail when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.02)
