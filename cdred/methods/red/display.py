"""The presentation of RED."""

from __future__ import annotations

from cdred.learning.display import Display
from cdred.methods.cdred.display import ERRORS

DISPLAY = Display(
    label="RED",
    summary="random expert distillation (CDRED at zeta 1), from demonstrations without rewards",
    figures=(ERRORS,),
)
