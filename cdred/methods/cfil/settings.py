"""The settings of coupled flows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from cdred.learning import derived
from cdred.learning.settings import (
    Coefficient,
    Layers,
    Presets,
    Problem,
    Size,
    Use,
    WorldModelSettings,
)

LARGEST_REWARD = 6.0  # of a step: `CoupledFlow.squash`


class CfilSettings(WorldModelSettings):
    """Settings of the flows, which are sized as CDRED's predictors."""

    presets: ClassVar[Presets] = {"small": {"predictor_dim": 64, "predictor_layers": 2}}
    asks: ClassVar[frozenset[str]] = frozenset(
        {"flow_transforms", "flow_noise", "flow_likelihood_coef"}
    )

    predictor_dim: Size = 1024
    predictor_layers: Layers = 3
    flow_transforms: Annotated[int, Field(ge=1, le=100)] = 2
    flow_noise: Coefficient = Field(
        0.2, description="standard deviation, on standardised observations and actions"
    )
    flow_likelihood_coef: Coefficient = 0.1

    def problems(self, use: Use) -> Iterator[Problem]:
        yield from super().problems(use)
        if use.obs == "rgb":
            yield Problem("method", "pixels have no density of their own here")
        if derived.plans(self):
            reason = "plans are latent, this reward is not"
            yield Problem("method", f"{reason}; set mpc: false and no eval_policy: plan")
        if self.compile:
            yield Problem("method", "its flows cannot be compiled; set compile: false")
        if use.episode_length is not None:
            yield from self._bins(use.episode_length)

    def _bins(self, length: int) -> Iterator[Problem]:
        """The critic's bins hold every return of the bounded reward."""
        gamma = derived.discount(length, self)
        if gamma >= 1:
            yield Problem("discount_min", "without a discount the returns of cfil have no bound")
            return
        most, end = LARGEST_REWARD / (1 - gamma), self.symlog_max
        if math.expm1(end) < most:
            yield Problem(
                "symlog_max",
                f"{end:g} holds returns up to {math.expm1(end):.0f}, those of cfil reach "
                f"{most:.0f}; set at least {math.ceil(10 * math.log1p(most)) / 10:g}",
            )
