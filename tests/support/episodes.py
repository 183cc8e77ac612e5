"""Playing tasks of all suites."""

from __future__ import annotations

from typing import Any

import numpy as np

ONE_OF_EACH = ["cup-catch", "mw-reach", "lift-cube"]


def play(env: Any, seed: int, steps: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Observations and rewards of an episode's first steps, by actions that are always the same."""
    rng = np.random.default_rng(0)
    obs, rewards = [env.reset(seed=seed)[0]], []
    for _ in range(steps):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        found, reward, *_ = env.step(action)
        obs.append(found)
        rewards.append(reward)
    return np.stack(obs), np.array(rewards)
