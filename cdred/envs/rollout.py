"""Seeded episodes of a policy, played side by side so that one network call serves all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Episode:
    """obs (T + 1, obs_dim), action (T, action_dim), reward (T,), all float32; `success` is None
    where the suite has no notion of it."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    success: bool | None
    seed: int

    @property
    def episode_return(self) -> float:
        return float(self.reward.sum(dtype=np.float64))


def rollout(
    act: Callable[[np.ndarray], np.ndarray],
    envs: Sequence[Any],
    seeds: Sequence[int],
    report: Callable[[int, dict[str, float]], None] | None = None,
) -> list[Episode]:
    """Play one episode per environment, `envs[k]` reset with `seeds[k]`.

    `act` maps observations (N, obs_dim) to actions (N, action_dim). All N rows are passed at every
    step, finished episodes included: the result does not depend on when others end.
    """
    obs = [[env.reset(seed=seed)[0]] for env, seed in zip(envs, seeds, strict=True)]
    actions: list[list[np.ndarray]] = [[] for _ in envs]
    rewards: list[list[float]] = [[] for _ in envs]
    success: list[bool | None] = [None for _ in envs]
    running = set(range(len(envs)))
    while running:
        chosen = act(np.stack([o[-1] for o in obs]))
        for k in sorted(running):
            observation, reward, terminated, truncated, info = envs[k].step(chosen[k])
            obs[k].append(observation)
            actions[k].append(chosen[k])
            rewards[k].append(float(reward))
            if "success" in info:
                success[k] = bool(success[k]) or bool(info["success"])
            if terminated or truncated:
                running.discard(k)
        if report is not None:
            report(max(map(len, rewards)), {})
    return [
        Episode(np.stack(o), np.stack(a), np.asarray(r, np.float32), s, seed)
        for o, a, r, s, seed in zip(obs, actions, rewards, success, seeds, strict=True)
    ]
