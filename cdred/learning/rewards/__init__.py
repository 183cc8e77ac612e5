"""Reward models: the one seam of the method. Only `METHODS` knows them by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cdred.learning.rewards.base import Losses, RewardModel, Rollout
from cdred.learning.rewards.flow import CoupledFlow
from cdred.learning.rewards.inverse import InverseSoftQ
from cdred.learning.rewards.rnd import CoupledRND
from cdred.learning.rewards.true_reward import TrueReward
from cdred.learning.settings import Settings

__all__ = ["Losses", "RewardModel", "Rollout", "build", "find"]

METHODS: dict[str, type[RewardModel]] = {
    "expert": TrueReward,
    "cdred": CoupledRND,
    "red": CoupledRND,  # random expert distillation: the expert term alone
    "iqmpc": InverseSoftQ,
    "cfil": CoupledFlow,
}
IMPLIED: dict[str, dict[str, float]] = {"red": {"zeta": 1.0}}


def find(method: str) -> type[RewardModel]:
    """The class of a method's reward model; `expert` learns the true reward.

    Raises ValueError for a method without one.
    """
    if method not in METHODS:
        raise ValueError(f"no reward model is called {method!r}")
    return METHODS[method]


def build(method: str, s: Settings, obs_shape: Sequence[int], action_dim: int) -> RewardModel:
    return find(method)(replace(s, **IMPLIED.get(method, {})), obs_shape, action_dim)  # type: ignore[arg-type, call-arg]
