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
        },
        "medium": {
            "rnd_dim": 128,
            "target_dim": 128,
            "predictor_dim": 128,
            "predictor_layers": 2,
            "sigma": 2.0,
        },
    }
    asks: ClassVar[frozenset[str]] = frozenset(
        {"alpha", "num_targets", "transform", "reward_space"}
    )

    entropy: Entropy = "scaled_squashed"
    num_targets: Annotated[int, Field(ge=2, le=1000)] = Field(5, description="K")
    rnd_dim: Size = Field(256, description="outputs of targets and predictors")
    target_dim: Size = Field(512, description="width of the random targets")
    target_layers: Layers = Field(2, description="their layers")
    predictor_dim: Size = Field(1024, description="width of the predictors")
    predictor_layers: Layers = Field(3, description="layers of a predictor")
    alpha: Share = Field(
        0.9,
        description="weight of the distance from the targets' mean, against that of the estimated "
        "count",
    )
    sigma: Positive = Field(1.0, description="scale of the bonuses in the reward")
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

    zeta: Share = Field(
        0.8, description="weight of the expert's density, against that of own data; 1 is RED"
    )
    zeta_end: Share | None = Field(None, description="zeta moves there, linearly over all updates")
