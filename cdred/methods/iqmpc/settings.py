"""The settings of inverse soft Q learning."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cdred.learning.settings import (
    Coefficient,
    Count,
    Entropy,
    Positive,
    Schedule,
    WorldModelSettings,
)


class IqmpcSettings(WorldModelSettings):
    """Settings of its objective."""

    asks: ClassVar[frozenset[str]] = frozenset({"iq_alpha", "iq_start", "gradient_penalty"})

    entropy: Entropy = "scaled_squashed"
    lr_schedule: Schedule = "constant"
    buffer_size: Count = 1_000_000
    iq_alpha: Positive = Field(0.5, description="of the chi-square regularisation")
    iq_start: Literal["v0", "value"] = Field(
        "v0",
        description="the value of where the expert's episodes start: V at the first state of its "
        "sub-sequences, or V(z) - gamma V(z') over both streams",
    )
    gradient_penalty: Coefficient = Field(0.0, description="Wasserstein-1; 0: none")
