"""Which episode of an evaluation is filmed."""

from __future__ import annotations

import pytest

from cdred.evaluation import median


@pytest.mark.parametrize(
    ("returns", "index"),
    [([5.0], 0), ([3.0, 1.0, 2.0], 2), ([4.0, 1.0, 3.0, 2.0], 3), ([1.0, 1.0, 1.0], 1)],
)
def test_the_median_episode_is_an_episode(returns: list[float], index: int) -> None:
    assert median(returns) == index
