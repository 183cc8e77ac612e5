"""Stages in processes that are killed: forked from one that has imported everything already."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.forked import FORKS


class Stage:
    """A stage's command, run in a project by a process of its own."""

    def __init__(self, root: Path, *arguments: str, kill_at: int | None = None) -> None:
        self.calls = FORKS.Value("i", 0)
        self.process = FORKS.Process(target=_run, args=(root, arguments, kill_at, self.calls))
        self.process.start()

    def wait(self) -> int:
        """Its exit status, negative if a signal ended it."""
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def kill(self) -> int:
        self.process.kill()
        return self.wait()


def _run(root: Path, arguments: tuple[str, ...], kill_at: int | None, calls: Any) -> None:
    """Run the command, counting the moments at which something on disk changes for good. Kill
    this process before or after that of number `kill_at` // 2, by whether it is even."""
    from cdred import cli

    gc.freeze()  # what is there already is not looked at again

    def counted(call: Callable) -> Callable:
        def made(*args: Any, **kwargs: Any) -> Any:
            calls.value += 1
            if kill_at is not None and calls.value == kill_at // 2:
                if kill_at % 2:
                    call(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return made

    os.fsync = counted(lambda _: None)  # what a killed process wrote survives without it
    os.rename, os.replace = counted(os.rename), counted(os.replace)
    os.chdir(root)
    log = os.open(root / "stage.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.exit(cli.main(list(arguments)))
