"""Every setting of the learner, at the paper's values, and the presets that change several at once.

Standard library alone: the engines validate a configuration without importing torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Settings:
    """Defaults are the paper's settings (arXiv 2505.02228; TD-MPC2, arXiv 2310.16828)."""

    # Networks
    latent_dim: int = 512
    encoder_dim: int = 256
    encoder_layers: int = 2
    conv_channels: int = 32  # of the encoder of pixels
    mlp_dim: int = 512
    simnorm_dim: int = 8
    num_q: int = 5
    num_bins: int = 101
    symlog_max: float = 10.0  # bins span [-symlog_max, symlog_max] in symlog space
    dropout: float = 0.01
    activation: Literal["mish", "silu"] = "mish"
    # The entropy of the policy: TD-MPC2's scaled one, before tanh, or that of the actions
    entropy: Literal["scaled", "squashed"] = "scaled"
    log_std_min: float = -10.0
    log_std_max: float = 2.0
    # Coupled random network distillation
    num_targets: int = 5  # K
    rnd_dim: int = 256
    target_dim: int = 512
    target_layers: int = 2
    predictor_dim: int = 1024
    predictor_layers: int = 3
    alpha: float = 0.9
    zeta: float = 0.8
    sigma: float = 1.0
    transform: Literal["identity", "exp"] = "identity"  # G
    zeta_end: float | None = None  # zeta moves there, linearly over all updates
    reward_space: Literal["latent", "observation"] = "latent"  # of which it estimates densities
    # Inverse soft Q (IQ-MPC)
    iq_alpha: float = 0.5  # of the chi-square regularisation
    gradient_penalty: float = 0.0  # Wasserstein-1; 0: none
    # Coupled flows (CFIL), sized as the predictors are
    flow_transforms: int = 2
    flow_noise: float = 0.2  # standard deviation, on standardised observations and actions
    flow_likelihood_coef: float = 0.1
    # Update
    model_free: bool = False  # no latent dynamics: an actor-critic on encodings of observations
    batch_size: int = 256  # sub-sequences from each stream
    horizon: int = 3
    rho: float = 0.5
    tau: float = 0.01
    learning_rate: float = 3e-4
    encoder_lr_scale: float = 0.3
    lr_schedule: Literal["step", "constant", "linear"] = "step"
    lr_decay_every: int = 500_000  # updates; for `step`, times 0.1 each
    grad_clip: float = 20.0
    consistency_coef: float = 20.0
    value_coef: float = 0.1
    reward_coef: float = 0.1
    entropy_coef: float = 1e-4
    discount_min: float = 0.95
    discount_max: float = 0.995
    # Acting: by MPPI, or (mpc false) by the policy prior as in the authors' code
    mpc: bool = True
    # How an agent that acts by the policy prior is evaluated: by its mean, its samples, or by MPPI
    eval_policy: Literal["mean", "sample", "plan"] = "mean"
    plan_iterations: int | None = None  # None: 6, or 8 when action_dim >= 20
    plan_samples: int = 512
    plan_policy_samples: int = 24
    plan_elites: int = 64
    plan_temperature: float = 0.5
    plan_min_std: float = 0.05
    plan_max_std: float = 2.0
    # Interaction
    steps: int = 500_000  # agent steps
    seed_steps: int | None = None  # random steps first; None: max(1000, 5 episodes)
    updates_per_step: float = 1.0
    buffer_size: int = 200_000  # transitions
    eval_every: int = 10_000  # agent steps between the points of the learning curve
    eval_episodes: int = 5
    log_every: int = 500  # updates between two rows of metrics
    # Speed (docs/performance.md). Both change rounding, so they are a part of what a result is
    precision: Literal["float32", "bfloat16"] = "float32"  # of matrix products
    compile: bool = False  # update step and planner by torch.compile
    # The result is the agent after the last step, or (experts alone) at the best of those points
    keep: Literal["last", "best"] = "last"

    @property
    def plans(self) -> bool:
        """Whether the agent plans, while it learns or when it is evaluated."""
        return self.mpc or self.eval_policy == "plan"


# A size that learns cup-catch in minutes on two cores, acting by the policy prior.
SMALL: dict[str, Any] = {
    "latent_dim": 64,
    "encoder_dim": 64,
    "mlp_dim": 64,
    "num_q": 2,
    "symlog_max": 6.0,  # finer bins: returns stay below 400
    "dropout": 0.0,
    "activation": "silu",
    "rnd_dim": 64,
    "target_dim": 64,
    "predictor_dim": 64,
    "predictor_layers": 2,
    # The squared error sums over output dimensions: 64 here against the paper's 256.
    "sigma": 4.0,
    "batch_size": 64,
    "learning_rate": 5e-4,
    "lr_schedule": "linear",
    # A hundred times fewer updates than the paper's must do: values propagate faster.
    "tau": 0.05,
    "mpc": False,
    # Without planning, TD-MPC2's entropy, taken before tanh, lets the policy saturate: whole
    # episodes in a corner, from which no gradient leads away. The entropy of the actions does not.
    "entropy": "squashed",
    "entropy_coef": 2e-3,
    # Demonstrations and evaluations act as training does, by samples.
    "eval_policy": "sample",
    "steps": 16_000,
    "seed_steps": 1_000,
    "eval_every": 1_000,
}

PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "small": SMALL}


def discount(episode_length: int, settings: Settings) -> float:
    """TD-MPC2's heuristic: clip((T/5 - 1) / (T/5), min, max) for an episode of T agent steps."""
    fifth = episode_length / 5
    return min(max((fifth - 1) / fifth, settings.discount_min), settings.discount_max)
