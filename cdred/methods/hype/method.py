"""The declaration of HyPE."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.hype.settings import HypeSettings

METHOD = Method(
    settings=HypeSettings,
    reward_model="cdred.methods.hype.reward:MomentMatching",
    plans=False,  # its reward is one of observations
    display="cdred.methods.hype.display:DISPLAY",
)
