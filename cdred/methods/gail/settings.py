"""The settings of discriminators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from cdred.learning.settings import (
    Coefficient,
    Entropy,
    Layers,
    Positive,
    Presets,
    Problem,
    Size,
    Use,
    WorldModelSettings,
)


class DiscriminatorSettings(WorldModelSettings):
    """Settings of a discriminator of expert and agent data, and of its own optimiser."""

    presets: ClassVar[Presets] = {
        "small": {"discriminator_dim": 64},
        "medium": {"discriminator_dim": 128},
    }
    asks: ClassVar[frozenset[str]] = frozenset({"discriminator_learning_rate"})

    entropy: Entropy = "scaled_squashed"  # CDRED's: the reward is all that differs
    discriminator_dim: Size = Field(512, description="width of the discriminator")
    discriminator_layers: Layers = Field(2, description="its hidden layers")
    discriminator_learning_rate: Positive = Field(3e-4, description="of its own optimiser")
    gradient_penalty: Coefficient = Field(
        10.0, description="of the discriminator's slope (arXiv 1704.00028); 0: none"
    )
    reward_space: Literal["latent", "observation"] = Field(
        "latent", description="of what the discriminator sees, beside the action"
    )

    def problems(self, use: Use) -> Iterator[Problem]:
        yield from super().problems(use)
        if self.reward_space == "observation":
            pixels = "a discriminator of observations needs states"
            yield from self.of_observations(use, "reward_space", pixels)


class GailSettings(DiscriminatorSettings):
    """Settings of the adversarial reward."""

    asks: ClassVar[frozenset[str]] = frozenset({"reward_form"})

    reward_form: Literal["logit", "positive", "negative"] = Field(
        "logit", description="log D - log(1 - D), -log(1 - D), or log D"
    )
