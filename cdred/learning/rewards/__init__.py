"""Reward models: the one seam of the method. `build` is the only place that knows them by name."""

from __future__ import annotations

from cdred.learning.rewards.base import RewardModel
from cdred.learning.settings import Settings

__all__ = ["RewardModel", "build"]


def build(method: str, s: Settings, action_dim: int) -> RewardModel:
    """The reward model of a method: `expert` (true reward), `cdred`, `red`."""
    from dataclasses import replace

    from cdred.learning.rewards.rnd import CoupledRND
    from cdred.learning.rewards.true_reward import TrueReward

    if method == "expert":
        return TrueReward(s, action_dim)
    if method == "cdred":
        return CoupledRND(s, action_dim)
    if method == "red":  # random expert distillation: the expert term alone
        return CoupledRND(replace(s, zeta=1.0), action_dim)
    raise ValueError(f"no reward model is called {method!r}")
