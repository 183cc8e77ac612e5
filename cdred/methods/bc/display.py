"""The presentation of behaviour cloning."""

from __future__ import annotations

from cdred.learning.display import Display

DISPLAY = Display(
    label="BC",
    summary="behaviour cloning of demonstrations",
    losses={"bc_loss": "Cloning loss"},
)
