"""The declaration of GAIL."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.gail.settings import GailSettings

METHOD = Method(
    settings=GailSettings,
    reward_model="cdred.methods.gail.reward:Discriminator",
    display="cdred.methods.gail.display:DISPLAY",
)
