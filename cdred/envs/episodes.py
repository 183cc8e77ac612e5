"""Seeded episodes of a policy, played side by side so that one network call serves all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv


@dataclass(frozen=True)
class Episode:
    """obs (T + 1, *obs_shape), float32 or pixels as uint8; action (T, action_dim) and reward (T,),
    float32. `success`: whether its last state is one, as is published; `success_once`: whether any
    is; None where the suite does not define it."""

    obs: NDArray[Any]
    action: NDArray[Any]
    reward: NDArray[Any]
    success: bool | None
    seed: int
    success_once: bool | None = None

    def __repr__(self) -> str:
        success = "" if self.success is None else f", success {self.success}"
        return (
            f"<episode of seed {self.seed}: {len(self.action)} steps, "
            f"return {self.episode_return:.1f}{success}>"
        )

    @property
    def episode_return(self) -> float:
        return float(self.reward.sum(dtype=np.float64))


def summary(episodes: Sequence[Episode]) -> str:
    """The mean return of episodes and the share that succeed, as text."""
    mean = float(np.mean([e.episode_return for e in episodes]))
    text = "return unknown" if math.isnan(mean) else f"return {mean:.1f}"
    known = [e.success for e in episodes if e.success is not None]
    return text + (f", success {np.mean(known):.0%}" if known else "")


class Rollout:
    """One episode per environment while they are being played, the k-th reset with `seeds[k]`.

    Actions are given for all N environments at every step, finished episodes included: the result
    does not depend on when others end.
    """

    def __init__(self, envs: VectorEnv, seeds: Sequence[int]) -> None:
        self.envs, self.seeds = envs, seeds
        self.obs, _ = envs.reset(seed=[*seeds])  # type: ignore[arg-type]  # the last observations, (N, *obs_shape)
        self._obs = [[first] for first in self.obs]
        self._rewards: list[list[float]] = [[] for _ in seeds]
        self._success: list[list[bool]] = [[] for _ in seeds]  # of each step of which it is known
        self._running = set(range(len(seeds)))
        self.actions: list[NDArray[Any]] = []  # of each step, (N, action_dim)

    @property
    def running(self) -> bool:
        return bool(self._running)

    def step(self, actions: NDArray[Any]) -> None:
        """Act (N, action_dim) in the episodes that still run; others go on unrecorded."""
        self.actions.append(actions)
        self.obs, reward, terminated, truncated, info = self.envs.step(actions)
        for k in sorted(self._running):
            self._obs[k].append(self.obs[k])
            self._rewards[k].append(float(reward[k]))
            if "success" in info and info["_success"][k]:
                self._success[k].append(bool(info["success"][k]))
            if terminated[k] or truncated[k]:
                self._running.discard(k)

    def episodes(self) -> list[Episode]:
        return [
            Episode(
                np.stack(o), np.stack([a[k] for a in self.actions[: len(r)]]),
                np.asarray(r, np.float32), s[-1] if s else None, seed, any(s) if s else None,
            )
            for k, (o, r, s, seed) in enumerate(
                zip(self._obs, self._rewards, self._success, self.seeds, strict=True)
            )
        ]  # fmt: skip


def rollout(
    act: Callable[[NDArray[Any]], NDArray[Any]], envs: VectorEnv, seeds: Sequence[int]
) -> list[Episode]:
    """Play one episode per environment; `act` maps observations (N, *obs_shape) to actions."""
    playing = Rollout(envs, seeds)
    while playing.running:
        playing.step(act(playing.obs))
    return playing.episodes()


def replay(envs: VectorEnv, episodes: Sequence[Episode]) -> list[Episode]:
    """Play the seeds and actions of `episodes` again, in as many environments."""
    longest = max(len(e.action) for e in episodes)
    padded = [np.pad(e.action, ((0, longest - len(e.action)), (0, 0))) for e in episodes]
    steps = iter(np.stack(padded, 1))
    return rollout(lambda obs: next(steps), envs, [e.seed for e in episodes])
