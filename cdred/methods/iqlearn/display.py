"""The presentation of IQ-Learn."""

from __future__ import annotations

from cdred.learning.display import Display

DISPLAY = Display(
    label="IQ-Learn",
    summary="inverse soft Q learning without a model (IQ-Learn), from demonstrations without rewards",
)
