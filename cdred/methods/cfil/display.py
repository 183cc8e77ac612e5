"""How CFIL is presented."""

from __future__ import annotations

from cdred.methods import Display

DISPLAY = Display(
    label="CFIL",
    summary="coupled flow imitation learning (CFIL), from demonstrations without rewards",
)
