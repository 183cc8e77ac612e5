"""Which episodes of an evaluation are filmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cdred.envs import video
from cdred.envs.episodes import Episode
from cdred.evaluation import film_episodes, median


@pytest.mark.parametrize(
    ("returns", "index"),
    [([5.0], 0), ([3.0, 1.0, 2.0], 2), ([4.0, 1.0, 3.0, 2.0], 3), ([1.0, 1.0, 1.0], 1)],
)
def test_the_median_episode_is_an_episode(returns: list[float], index: int) -> None:
    assert median(returns) == index


@pytest.mark.parametrize(
    ("returns", "filmed"),
    [
        ([5.0], {"video.mp4": 0}),
        ([3.0, 1.0, 2.0], {"video.mp4": 2, "worst.mp4": 1}),
        ([2.0, 1.0], {"video.mp4": 1}),
    ],
)
def test_the_worst_is_filmed_beside_the_median(
    returns: list[float], filmed: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    films: list[Any] = []

    def film(task: str, *takes: Any) -> None:
        films.extend(takes)

    monkeypatch.setattr(video, "film", film)
    state, action = np.zeros((5, 1), np.float32), np.zeros((4, 1), np.float32)
    played = [
        Episode(state, action, np.array([value, 0, 0, 0], np.float32), None, k)
        for k, value in enumerate(returns)
    ]
    film_episodes("cup-catch", played, 3, Path())
    assert all(len(actions) == 3 for _, actions, _ in films)
    assert {path.name: seed for seed, _, path in films} == filmed
