"""The declaration of IQ-Learn."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.iqlearn.settings import IqlearnSettings

METHOD = Method(
    settings=IqlearnSettings,
    reward_model="cdred.methods.iqmpc.reward:InverseSoftQ",
    display="cdred.methods.iqlearn.display:DISPLAY",
)
