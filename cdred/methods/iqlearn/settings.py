"""The settings of IQ-Learn: those of inverse soft Q learning, with the published defaults."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from cdred.learning.settings import (
    Coefficient,
    Entropy,
    NonLinearity,
    Positive,
    Presets,
    Share,
    Size,
)
from cdred.methods.iqmpc.settings import IqmpcSettings


class IqlearnSettings(IqmpcSettings):
    """Settings of IQ-Learn with a soft actor-critic, on encodings of observations."""

    presets: ClassVar[Presets] = {"small": {"policy_learning_rate": None, "encoder_lr_scale": 0.3}}

    model_free: bool = True
    mpc: bool = False
    entropy: Entropy = "squashed"
    entropy_coef: Coefficient = 0.01
    mlp_dim: Size = 256
    activation: NonLinearity = "relu"
    num_q: Annotated[int, Field(ge=2, le=100)] = 2
    dropout: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    tau: Share = 0.005
    encoder_lr_scale: Annotated[float, Field(ge=0, le=1000)] = 1.0
    policy_learning_rate: Positive | None = Field(3e-5, description="null: learning_rate")
