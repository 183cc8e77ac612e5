"""The settings of hybrid inverse reinforcement learning."""

from __future__ import annotations

from typing import Literal

from cdred.learning.settings import Entropy, Positive, Size
from cdred.methods.gail.settings import DiscriminatorSettings


class HypeSettings(DiscriminatorSettings):
    """Settings of moment matching; model-free and on observations, as published."""

    entropy: Entropy = "squashed"
    model_free: bool = True
    mpc: bool = False
    reward_space: Literal["latent", "observation"] = "observation"
    discriminator_dim: Size = 256
    discriminator_learning_rate: Positive = 8e-4
