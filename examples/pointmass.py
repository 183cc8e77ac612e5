"""A task of one's own: a point that is to come to rest at the origin.

In an experiment it is `tasks: [examples.pointmass:make]`. Any function that returns a Gymnasium
environment will do, if its observations can be flattened into numbers, its actions are a bounded
Box of one dimension, and its episodes have a limit. Everything random must come from
`self.np_random`, which `reset(seed=...)` seeds: then an episode follows from its seed and actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import TimeLimit

STEPS = 100  # of an episode
SIZE = 96  # pixels of a picture


class PointMass(gymnasium.Env):
    """Position and velocity in the plane, pushed by a force; the reward is near 1 at rest."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1, 1, 2)
        self.velocity = np.zeros(2)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.velocity = 0.9 * self.velocity + 0.1 * np.asarray(action, float)
        self.position = np.clip(self.position + 0.1 * self.velocity, -1, 1)
        distance = np.linalg.norm(self.position) + 0.1 * np.linalg.norm(self.velocity)
        return self._observation(), float(np.exp(-3 * distance)), False, False, {}

    def render(self) -> np.ndarray:
        picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
        x, y = np.int64((self.position + 1) / 2 * (SIZE - 9))
        picture[y : y + 8, x : x + 8] = (200, 60, 0)
        return picture

    def _observation(self) -> np.ndarray:
        return np.float32([*self.position, *self.velocity])


def make(render_mode: str | None = None) -> gymnasium.Env:
    """The task; `render_mode` is needed for films and for agents that see pixels."""
    return TimeLimit(PointMass(render_mode), STEPS)
