"""The settings of random expert distillation: CDRED's without the coupling."""

from __future__ import annotations

from cdred.methods.cdred.settings import DistillationSettings


class RedSettings(DistillationSettings):
    """Settings of the distillation alone."""
