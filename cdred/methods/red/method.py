"""The declaration of RED."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.red.settings import RedSettings

METHOD = Method(
    settings=RedSettings,
    reward_model="cdred.methods.red.reward:ExpertRND",
    display="cdred.methods.red.display:DISPLAY",
)
