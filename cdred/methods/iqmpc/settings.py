"""The settings of inverse soft Q learning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from cdred.learning.settings import Coefficient, Positive, Problem, Use, WorldModelSettings


class IqmpcSettings(WorldModelSettings):
    """Settings of its objective."""

    asks: ClassVar[frozenset[str]] = frozenset({"iq_alpha", "gradient_penalty"})

    iq_alpha: Positive = Field(0.5, description="of the chi-square regularisation")
    gradient_penalty: Coefficient = Field(0.0, description="Wasserstein-1; 0: none")

    def problems(self, use: Use) -> Iterator[Problem]:
        yield from super().problems(use)
        if self.compile and self.gradient_penalty:
            yield Problem("gradient_penalty", "torch.compile has no second derivatives")
