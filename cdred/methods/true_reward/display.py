"""How an expert of the true reward is presented."""

from __future__ import annotations

from cdred.methods import Display

DISPLAY = Display(label="TD-MPC2", summary="an expert, trained from the environment's reward")
