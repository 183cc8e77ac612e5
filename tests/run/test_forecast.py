"""The time that is left, by a schedule of jobs on cores."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cdred.run.forecast import time_left


@dataclass(frozen=True, eq=False)
class Job:
    inputs: tuple[Job, ...] = ()


EXPERT = Job()
DEMOS = Job((EXPERT,))
LONG, MIDDLE, SHORT = (Job((DEMOS,)) for _ in range(3))
REPORT = Job((LONG, MIDDLE, SHORT))
SECONDS = {EXPERT: 100, DEMOS: 10, SHORT: 30, MIDDLE: 60, LONG: 80, REPORT: 5}


@pytest.mark.parametrize(
    ("running", "done", "cores", "left"),
    [
        ({}, [], 1, 285),
        ({}, [], 2, 100 + 10 + 90 + 5),  # the two longest first, then the short one
        ({}, [], 3, 100 + 10 + 80 + 5),
        ({EXPERT: 0.75}, [], 3, 25 + 10 + 80 + 5),
        ({LONG: 0.5, SHORT: 0.9}, [EXPERT, DEMOS], 2, 3 + 60 + 5),
        ({REPORT: 0.2}, [EXPERT, DEMOS, SHORT, MIDDLE, LONG], 2, 4),
        ({}, SECONDS, 2, 0),
    ],
)
def test_time_left(running: dict, done: list, cores: int, left: float) -> None:
    assert time_left(SECONDS, running, done, cores) == pytest.approx(left)
