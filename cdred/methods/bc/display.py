"""How behaviour cloning is presented."""

from __future__ import annotations

from cdred.methods import Display

DISPLAY = Display(
    label="BC",
    summary="behaviour cloning of demonstrations",
    losses={"bc_loss": "Cloning loss"},
)
