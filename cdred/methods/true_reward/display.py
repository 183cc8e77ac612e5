"""The presentation of the true reward."""

from __future__ import annotations

from cdred.learning.display import Display

DISPLAY = Display(label="TD-MPC2", summary="an expert, trained from the environment's reward")
