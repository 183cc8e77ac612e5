"""Attempts in forked processes: one that crashes, hangs or takes all memory is noticed, and named."""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Callable

MEMORY = 2**31  # bytes that an attempt may take


def failures(attempt: Callable[[int], None], count: int, seconds: int = 20) -> list[str]:
    """The attempts, numbered from 0, that raise, crash, or take longer than so many seconds."""
    failed: list[str] = []
    first = 0
    while first < count:
        ended, reason = _batch(attempt, first, count, seconds)
        if reason:
            failed.append(f"{ended}: {reason}")
        first = ended + 1
    return failed


def _batch(attempt: Callable[[int], None], first: int, count: int, seconds: int) -> tuple[int, str]:
    """The last attempt of those from `first` that one process made, and why it was the last."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _attempts(attempt, first, count, seconds, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as told:
        begun = told.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    numbers = [k for k, line in enumerate(begun) if line.isdecimal()]
    number = int(begun[numbers[-1]])
    text = " | ".join(begun[numbers[-1] + 1 :])
    return number, text or (f"ended by signal {-status}" if status else "")


def _attempts(
    attempt: Callable[[int], None], first: int, count: int, seconds: int, told: int
) -> None:
    with open("/proc/self/statm", encoding="ascii") as sizes:
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    try:
        for k in range(first, count):
            os.write(told, f"{k}\n".encode())
            signal.alarm(seconds)
            attempt(k)
    except BaseException:
        os.write(told, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(0)
