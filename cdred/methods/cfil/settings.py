"""The settings of coupled flows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cdred.learning import derived
from cdred.learning.settings import (
    Coefficient,
    Count,
    Entropy,
    Layers,
    Positive,
    Presets,
    Problem,
    Schedule,
    Size,
    Use,
    WorldModelSettings,
)

LARGEST_LOG_RATIO = 6.0  # `CoupledFlow.squash`


class CfilSettings(WorldModelSettings):
    """Settings of the flows; the defaults are the published ones."""

    presets: ClassVar[Presets] = {
        # The sizes of noise and likelihood with which it learned cup-catch.
        "small": {
            "predictor_dim": 64,
            "flow_activation": "silu",
            "flow_transforms": 2,
            "flow_noise": 0.2,
            "flow_noise_kind": "gaussian",
            "flow_likelihood_coef": 0.1,
            "flow_learning_rate": None,
            "flow_update_every": 1,
            "flow_reward_shift": 0.0,
        }
    }
    asks: ClassVar[frozenset[str]] = frozenset(
        {
            *("flow_transforms", "flow_activation", "flow_noise", "flow_noise_kind"),
            *("flow_likelihood_coef", "flow_learning_rate", "flow_update_every"),
            "flow_reward_shift",
        }
    )

    model_free: bool = True
    mpc: bool = False
    entropy: Entropy = "squashed"
    entropy_coef: Coefficient = 0.2
    lr_schedule: Schedule = "constant"
    predictor_dim: Size = Field(256, description="of the flows")
    predictor_layers: Layers = Field(2, description="layers of a flow's networks")
    flow_transforms: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="blocks of each flow"
    )
    flow_activation: Literal["relu", "silu"] = Field("relu", description="of the flows")
    flow_noise: Coefficient = Field(
        0.25, description="on standardised observations and actions, while the flows learn"
    )
    flow_noise_kind: Literal["relative", "gaussian"] = Field(
        "relative",
        description="uniform, up to this share of the value, or Gaussian of this deviation",
    )
    flow_likelihood_coef: Coefficient = Field(
        1.0, description="weight of the flows' likelihood in the loss"
    )
    flow_learning_rate: Positive | None = Field(1e-3, description="null: with the world model's")
    flow_update_every: Count = Field(
        100, description="updates between two of the flows, if they have a learning rate"
    )
    flow_reward_shift: Coefficient = Field(
        LARGEST_LOG_RATIO, description="added to every reward; the default makes all positive"
    )

    def problems(self, use: Use) -> Iterator[Problem]:
        pixels = "pixels have no density of their own here"
        yield from self.of_observations(use, "method", pixels)
        yield from super().problems(use)
        if use.episode_length is not None:
            yield from self._bins(use.episode_length)

    def _bins(self, length: int) -> Iterator[Problem]:
        """The critic's bins hold every return of the bounded reward."""
        gamma = derived.discount(length, self)
        if gamma >= 1:
            yield Problem("discount_min", "without a discount the returns of cfil have no bound")
            return
        largest = LARGEST_LOG_RATIO + self.flow_reward_shift
        most, end = largest / (1 - gamma), self.symlog_max
        if math.expm1(end) < most:
            yield Problem(
                "symlog_max",
                f"{end:g} holds returns up to {math.expm1(end):.0f}, those of cfil reach "
                f"{most:.0f}; set at least {math.ceil(10 * math.log1p(most)) / 10:g}",
            )
