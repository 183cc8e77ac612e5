"""The presentation of CFIL."""

from __future__ import annotations

from cdred.learning.display import Display

DISPLAY = Display(
    label="CFIL",
    summary="coupled flow imitation learning (CFIL), from demonstrations without rewards",
)
