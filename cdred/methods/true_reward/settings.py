"""The settings of experts: the shared ones."""

from __future__ import annotations

from cdred.learning.settings import WorldModelSettings


class TrueRewardSettings(WorldModelSettings):
    """Settings of TD-MPC2."""
