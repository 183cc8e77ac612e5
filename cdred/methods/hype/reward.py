"""Hybrid inverse reinforcement learning: HyPE (arXiv 2402.08848, algorithm 3).

The reward f is the witness of the difference of both streams' moments, with a gradient penalty,

    L = E_behaviour[f] - E_expert[f] + penalty * E[(|grad f| - 0.4)^2],

with the slope of the authors' code (github.com/jren03/garage). The actor-critic learns from a
mixture of the expert's and its own data, all of whose rewards are those of the present f. No
episode starts from a demonstration: that is FILTER's (arXiv 2303.14623).
"""

from __future__ import annotations

from torch import Tensor

from cdred.methods.gail.reward import Adversary


class MomentMatching(Adversary):
    """The witness of an integral probability metric as reward: R = f."""

    slope = 0.4

    def reward(self, x: Tensor) -> Tensor:
        return self.logits(x)

    def adversarial_loss(self, expert: Tensor, behaviour: Tensor) -> Tensor:
        return (behaviour - expert).mean((1, 2))
