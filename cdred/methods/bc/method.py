"""The declaration of behaviour cloning."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.bc.settings import CloningSettings

METHOD = Method(
    settings=CloningSettings,
    networks="cdred.methods.bc.trainer:CloningNetworks",
    trainer="cdred.methods.bc.trainer:CloningTrainer",
    interacts=False,
    plans=False,
    samples=False,
    display="cdred.methods.bc.display:DISPLAY",
)
