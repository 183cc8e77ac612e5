"""How IQ-MPC is presented."""

from __future__ import annotations

from cdred.methods import Display

DISPLAY = Display(
    label="IQ-MPC",
    summary="inverse soft Q learning (IQ-MPC), from demonstrations without rewards",
)
