"""It has no settings beside the shared ones."""

from __future__ import annotations

from cdred.learning.settings import WorldModelSettings


class TrueRewardSettings(WorldModelSettings):
    """TD-MPC2's own."""
