"""Random expert distillation: the reward of RED."""

from __future__ import annotations

from cdred.methods.cdred.reward import CoupledRND
from cdred.methods.cdred.settings import DistillationSettings


class ExpertRND(CoupledRND):
    """CDRED's expert term alone: its reward at zeta 1."""

    def coupling(self, s: DistillationSettings) -> tuple[float, float | None]:
        return 1.0, None
