"""Quantities derived from settings and the length of an episode. Standard library alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cdred.learning.registry import Method
    from cdred.learning.settings import Settings, WorldModelSettings

# Of updates and plans: one operation after the other; on CUDA all kernels launched at once; as a
# program of its own. On a CPU the first two are the same.
Execution = Literal["eager", "captured", "compiled"]
# From this many updates on, compiling saves more time than it takes: docs/performance.md.
WORTH_COMPILING = 6_000


def discount(episode_length: int, s: WorldModelSettings) -> float:
    """TD-MPC2's heuristic: clip((T/5 - 1) / (T/5), min, max) for an episode of T agent steps."""
    fifth = episode_length / 5
    return min(max((fifth - 1) / fifth, s.discount_min), s.discount_max)


def plans(s: WorldModelSettings) -> bool:
    """Tell whether the agent plans, while it learns or when it is evaluated."""
    return s.mpc or s.eval_policy == "plan"


def seed_steps(episode_length: int, s: WorldModelSettings) -> int:
    """The random steps that come first."""
    return s.seed_steps if s.seed_steps is not None else max(1000, 5 * episode_length)


def total_updates(s: WorldModelSettings) -> int:
    return int(s.steps * s.updates_per_step)


def execution(s: WorldModelSettings, device: str = "cpu") -> Execution:
    """The way in which a training executes updates and plans on a type of device. If the settings
    leave it open: compiled where a training is long enough for that to pay, on CUDA captured, which
    brings most of it there."""
    if s.compile == "auto":
        long = total_updates(s) >= WORTH_COMPILING
        return "compiled" if long and device != "cuda" else "captured"
    return s.compile if isinstance(s.compile, str) else "compiled" if s.compile else "eager"


def acts_by(
    method: Method, s: Settings, explore: bool = False
) -> Literal["plan", "sample", "mean"]:
    """The way in which an agent acts: by a plan, or by a sample or the mean of its policy."""
    # Only methods with a world model have these two.
    always, evaluated = getattr(s, "mpc", False), getattr(s, "eval_policy", "mean")
    if method.plans and (always or (evaluated == "plan" and not explore)):
        return "plan"
    if method.samples and (explore or evaluated == "sample"):
        return "sample"
    return "mean"
