"""A recorded episode of any format, and the checks that it fits its task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.errors import CdredError


@dataclass(frozen=True)
class Recorded:
    """An episode as a reader yields it; None for what was not recorded."""

    obs: Any
    action: Any
    reward: Any
    success: Any
    seed: int | None

    def episode(self, index: int) -> Episode:
        """Convert it; rewards that were not recorded become NaN, a missing seed the episode's
        index."""
        obs, action = np.asarray(self.obs), np.asarray(self.action, np.float32)
        if obs.dtype != np.uint8:
            obs = obs.astype(np.float32)
        reward = np.full(len(action), np.nan) if self.reward is None else self.reward
        success = None if self.success is None else bool(np.any(self.success))
        seed = index if self.seed is None else int(self.seed)
        return Episode(obs, action, np.asarray(reward, np.float32).reshape(-1), success, seed)


def check(where: str, e: Episode, task: str, obs: str) -> None:
    """Raise CdredError unless the episode fits the task and holds finite numbers."""
    spec = find(task)
    shape = PIXEL_SHAPE if obs == "rgb" else (spec.obs_dim,)
    for what, actual, expected in (
        ("an observation's shape is", e.obs.shape[1:], shape),
        ("an action's shape is", e.action.shape[1:], (spec.action_dim,)),
        ("observations are", len(e.obs), len(e.action) + 1),
        ("rewards are", len(e.reward), len(e.action)),
    ):
        if actual != expected:
            raise CdredError(
                f"{where}: does not fit {task} ({obs}): {what} {actual}, not {expected}"
            )
    if (far := float(np.abs(e.action).max())) > 1 + 1e-5:
        raise CdredError(f"{where}: does not fit {task}: an action of {far:g}, outside [-1, 1]")
    if not np.isfinite(e.obs).all() or not np.isfinite(e.action).all():
        raise CdredError(f"{where}: a number that is not finite")


def strided(e: Episode, stride: int) -> Episode:
    """Keep every `stride`-th observation, the mean of actions in between, the sum of rewards."""
    if stride == 1:
        return e
    count = len(e.action) // stride
    end = count * stride
    action = e.action[:end].reshape(count, stride, -1).mean(1)
    reward = e.reward[:end].reshape(count, stride).sum(1)
    return Episode(e.obs[: end + 1 : stride], action, reward, e.success, e.seed)
