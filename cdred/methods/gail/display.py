"""The presentation of GAIL, and of what adversarial methods have in common."""

from __future__ import annotations

from cdred.learning.display import Display, Figure, Line

LOGITS = Figure(
    "discriminator",
    "Output of the discriminator",
    (
        Line("logit_expert", "expert data", expert=True),
        Line("logit_behaviour", "agent data"),
    ),
    logarithmic=False,
)
DISPLAY = Display(
    label="GAIL",
    summary="adversarial imitation (GAIL) in a world model, from demonstrations without rewards",
    figures=(LOGITS,),
)
