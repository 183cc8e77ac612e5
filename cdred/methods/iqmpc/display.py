"""The presentation of IQ-MPC."""

from __future__ import annotations

from cdred.learning.display import Display

DISPLAY = Display(
    label="IQ-MPC",
    summary="inverse soft Q learning (IQ-MPC), from demonstrations without rewards",
)
