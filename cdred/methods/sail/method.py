"""The declaration of SAIL."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.sail.settings import SailSettings

METHOD = Method(
    settings=SailSettings,
    reward_model="cdred.methods.sail.reward:SupportWeighted",
    display="cdred.methods.sail.display:DISPLAY",
)
