"""The presentation of SAIL."""

from __future__ import annotations

from cdred.learning.display import Display, Figure, Line
from cdred.methods.gail.display import LOGITS

SUPPORT = Figure(
    "support",
    "Estimated support",
    (
        Line("support_expert", "expert data", expert=True),
        Line("support_behaviour", "agent data"),
    ),
    logarithmic=False,
)
DISPLAY = Display(
    label="SAIL",
    summary="support-weighted adversarial imitation (SAIL), from demonstrations without rewards",
    figures=(LOGITS, SUPPORT),
)
