"""The presentation of HyPE."""

from __future__ import annotations

from cdred.learning.display import Display
from cdred.methods.gail.display import LOGITS

DISPLAY = Display(
    label="HyPE",
    summary="hybrid inverse reinforcement learning (HyPE), from demonstrations without rewards",
    figures=(LOGITS,),
)
