"""The presentation of IQ-Learn."""

from __future__ import annotations

from cdred.learning.display import Display

DISPLAY = Display(
    label="IQ-Learn",
    summary="model-free inverse soft Q learning (IQ-Learn), from demonstrations without rewards",
)
