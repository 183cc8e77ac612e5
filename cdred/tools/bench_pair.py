"""`cdred bench --vs DIR`: the speed of this checkout's learner beside another's, measured in turn.

Each checkout has a process of its own, of which one works at a time, so that what disturbs the
machine disturbs both; a figure is the median over the rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cdred
from cdred.errors import CdredError
from cdred.system import machine
from cdred.tools.text_table import aligned

HERE = Path(cdred.__file__).parent.parent
WORKER = Path(__file__).with_name("bench_worker.py")
LEAST = 200.0  # milliseconds that an operation is repeated for in a round
HEAD = ("sizes", "operation", "variant", "ms here", "ms there", "CPU here", "CPU there", "faster")


class Worker:
    """The process of one checkout."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        path = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)], cwd=checkout, env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def ask(self, **request: Any) -> Any:
        """Its answer. Raises CdredError with the reason when there is none."""
        assert self.process.stdin and self.process.stdout
        answer: Any = {"error": "its process ended"}
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict) and "error" in answer:
            raise CdredError(f"bench: {self.checkout}: {answer['error']}")
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def run(
    other: Path, presets: Iterable[str], threads: int, rounds: int, compiled: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each operation at each size, eager and, if `compiled`, compiled.

    Raises CdredError when `other` is not a checkout of this project, or cannot be timed.
    """
    if not (other / "cdred/learning/learner.py").is_file():
        raise CdredError(f"bench: --vs {other}: not a checkout of this project")
    rows: list[dict[str, Any]] = []
    for preset in presets:
        for variant, compile_ in (("float32", False), ("float32 compiled", True)):
            if compile_ and not compiled:
                continue
            say(f"{preset} sizes, {variant}")
            for row in _pair(other, [preset, "float32", compile_, threads], rounds):
                rows.append({"preset": preset, "variant": variant, **row})
    return rows


def _pair(other: Path, made: list[Any], rounds: int) -> Iterator[dict[str, Any]]:
    with contextlib.ExitStack() as stack:
        workers = []
        for checkout in (HERE, other.resolve()):
            workers.append(stack.enter_context(contextlib.closing(Worker(checkout))))
            workers[-1].ask(make=made)
        for operation in ("update", "plan"):
            counts = []
            for worker in workers:
                worker.ask(time=[operation, 1])  # compiles
                (ms, _) = worker.ask(time=[operation, 3])
                counts.append(max(1, round(LEAST / ms)))
            times: list[list[Any]] = [[], []]
            for k in range(rounds + 1):  # the first warms the machine up
                for worker, count, measured in zip(workers, counts, times, strict=True):
                    timing = worker.ask(time=[operation, count])
                    if k:
                        measured.append(timing)
            (ms, cpu_ms), (ms_there, cpu_ms_there) = (
                map(statistics.median, zip(*measured, strict=True)) for measured in times
            )
            yield {
                "operation": operation, "ms": ms, "ms_there": ms_there, "cpu_ms": cpu_ms,
                "cpu_ms_there": cpu_ms_there, "ratio": ms_there / ms,
            }  # fmt: skip


def circumstances(other: Path, threads: int, rounds: int) -> dict[str, Any]:
    """The machine, and the commit of each checkout, for whoever keeps the rows."""

    def commit(checkout: Path) -> str:
        command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    return {
        "machine": machine.name(), "threads": threads, "rounds": rounds,
        "here": commit(HERE), "there": commit(other),
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """The result of `run` as text."""
    cells = [HEAD]
    for row in rows:
        numbers = (f"{row[k]:.4g}" for k in ("ms", "ms_there", "cpu_ms", "cpu_ms_there"))
        cells.append(
            (row["preset"], row["operation"], row["variant"], *numbers, f"{row['ratio']:.2f}")
        )
    return "\n".join(aligned(cells))
