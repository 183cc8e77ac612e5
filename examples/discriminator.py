"""A method of one's own: a discriminator on latent states and actions as the reward.

Copy this file and discriminator_reward.py beside params.yaml, and name it in a run:

    runs:
      adversarial: {method: "discriminator:METHOD", preset: small, demos: expert-10, penalty: 5}
"""

from __future__ import annotations

from typing import ClassVar

from cdred.learning.display import Display, Figure, Line
from cdred.learning.settings import Coefficient, WorldModelSettings
from cdred.methods import Method


class DiscriminatorSettings(WorldModelSettings):
    """Those of the world model, and one more. `asks`: an error in runs of other methods."""

    asks: ClassVar[frozenset[str]] = frozenset({"penalty"})

    penalty: Coefficient = 1.0


METHOD = Method(
    settings=DiscriminatorSettings,
    reward_model="discriminator_reward:Discriminator",  # loaded by the stages alone
    display=Display(
        label="Discriminator",
        summary="adversarial imitation in a world model, from demonstrations without rewards",
        figures=(
            Figure(
                "accuracy",
                "Accuracy of the discriminator",
                (Line("discriminator_accuracy", "both streams"),),
                logarithmic=False,
            ),
        ),
    ),
)
