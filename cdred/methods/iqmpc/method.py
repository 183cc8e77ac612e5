"""The declaration of IQ-MPC."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.iqmpc.settings import IqmpcSettings

METHOD = Method(
    settings=IqmpcSettings,
    reward_model="cdred.methods.iqmpc.reward:InverseSoftQ",
    display="cdred.methods.iqmpc.display:DISPLAY",
)
