"""The declaration of CFIL."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.cfil.settings import CfilSettings

METHOD = Method(
    settings=CfilSettings,
    reward_model="cdred.methods.cfil.reward:CoupledFlow",
    plans=False,  # its reward is one of observations
    display="cdred.methods.cfil.display:DISPLAY",
)
