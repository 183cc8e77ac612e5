"""The settings of random expert distillation: CDRED's without the coupling."""

from __future__ import annotations

from typing import ClassVar

from cdred.methods.cdred.settings import DistillationSettings


class RedSettings(DistillationSettings):
    """`zeta` is what makes it RED, and no setting."""

    zeta: ClassVar[float] = 1.0
    zeta_end: ClassVar[None] = None
