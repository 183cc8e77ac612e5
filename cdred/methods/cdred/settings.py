"""The settings of rewards by random distillation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cdred.learning.settings import (
    Entropy,
    Layers,
    Positive,
    Presets,
    Problem,
    Share,
    Size,
    Use,
    WorldModelSettings,
)


class DistillationSettings(WorldModelSettings):
    """Settings of predictors that distil fixed random targets, coupled or not."""

    presets: ClassVar[Presets] = {
        "small": {
            "rnd_dim": 64,
            "target_dim": 64,
            "predictor_dim": 64,
            "predictor_layers": 2,
            # The squared error sums over output dimensions: 64 here against the paper's 256.
            "sigma": 4.0,
        }
    }
    asks: ClassVar[frozenset[str]] = frozenset(
        {"alpha", "num_targets", "transform", "reward_space"}
    )

    entropy: Entropy = "scaled_squashed"
    num_targets: Annotated[int, Field(ge=2, le=1000)] = Field(5, description="K")
    rnd_dim: Size = 256
    target_dim: Size = 512
    target_layers: Layers = 2
    predictor_dim: Size = 1024
    predictor_layers: Layers = 3
    alpha: Share = 0.9
    sigma: Positive = 1.0
    transform: Literal["identity", "exp"] = Field("identity", description="G")
    reward_space: Literal["latent", "observation"] = Field(
        "latent", description="of which densities are estimated"
    )

    def problems(self, use: Use) -> Iterator[Problem]:
        yield from super().problems(use)
        if self.reward_space == "observation":
            pixels = "pixels have no density of their own here"
            yield from self.of_observations(use, "reward_space", pixels)


class CdredSettings(DistillationSettings):
    """Settings of the coupling."""

    asks: ClassVar[frozenset[str]] = frozenset({"zeta", "zeta_end"})

    zeta: Share = 0.8
    zeta_end: Share | None = Field(None, description="zeta moves there, linearly over all updates")
