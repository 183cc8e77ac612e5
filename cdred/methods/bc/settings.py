"""The settings of behaviour cloning: the shared ones, without those of a world model."""

from __future__ import annotations

from typing import Literal

from cdred.learning.settings import Settings


class CloningSettings(Settings):
    """Settings of encoder, policy and updates."""

    lr_schedule: Literal["constant", "linear"] = "constant"
