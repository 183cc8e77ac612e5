"""The settings of experts: the shared ones, with TD-MPC2's own defaults."""

from __future__ import annotations

from typing import Literal

from cdred.learning.settings import Count, Schedule, WorldModelSettings


class TrueRewardSettings(WorldModelSettings):
    """Settings of TD-MPC2 (arXiv 2310.16828)."""

    lr_schedule: Schedule = "constant"
    buffer_size: Count = 1_000_000
    policy_q: Literal["min", "mean"] = "mean"
