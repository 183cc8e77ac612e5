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


class Rollout:
    """One episode per environment while they are being played, `envs[k]` reset with `seeds[k]`.

    Actions are given for all N environments at every step, finished episodes included: the result
    does not depend on when others end.
    """

    def __init__(self, envs: Sequence[Any], seeds: Sequence[int]) -> None:
        self.envs, self.seeds = envs, seeds
        self._obs = [[env.reset(seed=seed)[0]] for env, seed in zip(envs, seeds, strict=True)]
        self._rewards: list[list[float]] = [[] for _ in envs]
        self._success: list[bool | None] = [None for _ in envs]
        self._running = set(range(len(envs)))
        self.actions: list[np.ndarray] = []  # of each step, (N, action_dim)

    @property
    def running(self) -> bool:
        return bool(self._running)

    @property
    def obs(self) -> np.ndarray:
        """The last observations, (N, obs_dim)."""
        return np.stack([o[-1] for o in self._obs])

    def step(self, actions: np.ndarray) -> None:
        """Act (N, action_dim) in the episodes that still run."""
        self.actions.append(actions)
        for k in sorted(self._running):
            observation, reward, terminated, truncated, info = self.envs[k].step(actions[k])
            self._obs[k].append(observation)
            self._rewards[k].append(float(reward))
            if "success" in info:
                self._success[k] = bool(self._success[k]) or bool(info["success"])
            if terminated or truncated:
                self._running.discard(k)

    def episodes(self) -> list[Episode]:
        return [
            Episode(
                np.stack(o), np.stack([a[k] for a in self.actions[: len(r)]]),
                np.asarray(r, np.float32), success, seed,
            )
            for k, (o, r, success, seed) in enumerate(
                zip(self._obs, self._rewards, self._success, self.seeds, strict=True)
            )
        ]  # fmt: skip


def rollout(
    act: Callable[[np.ndarray], np.ndarray], envs: Sequence[Any], seeds: Sequence[int]
) -> list[Episode]:
    """Play one episode per environment; `act` maps observations (N, obs_dim) to actions."""
    playing = Rollout(envs, seeds)
    while playing.running:
        playing.step(act(playing.obs))
    return playing.episodes()
