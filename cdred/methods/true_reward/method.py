"""The declaration of the true reward."""

from __future__ import annotations

from cdred.methods import Method
from cdred.methods.true_reward.settings import TrueRewardSettings

METHOD = Method(
    settings=TrueRewardSettings,
    reward_model="cdred.methods.true_reward.reward:TrueReward",
    uses_demonstrations=False,
    uses_environment_reward=True,
    display="cdred.methods.true_reward.display:DISPLAY",
)
