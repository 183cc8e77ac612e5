"""The settings of support-weighted adversarial imitation."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cdred.learning.settings import Layers, Positive, Presets, Size
from cdred.methods.gail.settings import DiscriminatorSettings


class SailSettings(DiscriminatorSettings):
    """Settings of the support estimate beside those of the discriminator."""

    presets: ClassVar[Presets] = {
        "small": {"support_dim": 64, "support_layers": 1, "target_dim": 64, "target_layers": 2},
        "medium": {"target_layers": 2},
    }
    asks: ClassVar[frozenset[str]] = frozenset({"support_sigma"})

    reward_form: Literal["positive", "bounded"] = Field(
        "bounded", description="of the adversary: -log(1 - D) (SAIL), or D (SAIL-b)"
    )
    support_sigma: Positive = Field(
        0.1, description="of the error of the distillation, in units of that on expert data"
    )
    support_dim: Size = Field(128, description="of the predictor, and of what it predicts")
    support_layers: Layers = Field(1, description="hidden layers of the predictor")
    target_dim: Size = Field(128, description="width of the random targets")
    target_layers: Layers = Field(4, description="their layers")
