"""The declaration of CDRED."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.cdred.settings import CdredSettings

METHOD = Method(
    settings=CdredSettings,
    reward_model="cdred.methods.cdred.reward:CoupledRND",
    display="cdred.methods.cdred.display:DISPLAY",
)
