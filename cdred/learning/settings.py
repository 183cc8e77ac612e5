"""The settings that methods share, with bounds, and the presets that change several at once.

A method's own stand beside it (methods/*/settings.py). Nothing but declarations: what follows from
settings is in `derived`, so that a job's parameters hold all that these modules decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=10**12)]
Size = Annotated[int, Field(ge=1, le=2**13)]  # of a layer, or a number of networks
Layers = Annotated[int, Field(ge=1, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=1e-12, le=1e12)]
Coefficient = Annotated[float, Field(ge=0, le=1e6)]
Presets = dict[str, dict[str, Any]]  # by preset what it changes of the defaults
LogStd = Annotated[float, Field(ge=-100, le=100)]
Entropy = Literal["scaled", "squashed", "scaled_squashed"]
NonLinearity = Literal["mish", "silu", "relu"]
Schedule = Literal["step", "constant", "linear"]


class Problem(NamedTuple):
    """A setting that does not go with the others, or with the task."""

    key: str
    message: str


class Use(NamedTuple):
    """The use of settings that they are checked against: the observations, and the episodes' length
    in agent steps, if the tasks are known."""

    obs: str = "state"
    episode_length: int | None = None


class Settings(BaseModel):
    """The settings of every method. Defaults are the paper's (arXiv 2505.02228; TD-MPC2, arXiv
    2310.16828)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )
    # By preset what differs from the defaults; a subclass adds its own.
    presets: ClassVar[Presets] = {
        "paper": {},
        # A size that learns cup-catch in minutes on two cores, acting by the policy prior.
        "small": {
            "latent_dim": 64,
            "encoder_dim": 64,
            "mlp_dim": 64,
            "activation": "silu",
            # Without planning, TD-MPC2's entropy, taken before tanh, lets the policy saturate:
            # whole episodes in a corner, from which no gradient leads away. The entropy of the
            # actions does not.
            "entropy": "squashed",
            "batch_size": 64,
            "learning_rate": 5e-4,
            "lr_schedule": "linear",
            # Short trainings end in mid-swing: the mean of the weights does not.
            "average": 0.999,
            "steps": 16_000,
            "eval_every": 1_000,
        },
        # Twice that size, acting by a small MPPI: locomotion in an hour of one core.
        "medium": {
            "latent_dim": 128,
            "encoder_dim": 128,
            "mlp_dim": 128,
            "activation": "silu",
            "batch_size": 128,
            "learning_rate": 5e-4,
            "lr_schedule": "linear",
            "average": 0.999,
            "steps": 100_000,
            "eval_every": 5_000,
        },
    }
    # Settings that ask for something which only some methods have: an error in a run of another.
    asks: ClassVar[frozenset[str]] = frozenset()

    # Networks
    latent_dim: Size = Field(512, description="of the latent state; a multiple of `simnorm_dim`")
    encoder_dim: Size = Field(256, description="width of the encoder")
    encoder_layers: Layers = Field(2, description="its layers")
    conv_channels: Size = Field(32, description="of the encoder of pixels")
    mlp_dim: Size = Field(512, description="width of dynamics, Q and policy")
    simnorm_dim: Size = Field(8, description="of a group of the latent state that sums to 1")
    activation: NonLinearity = Field(
        "mish", description="of all networks but flows and discriminators with one of their own"
    )
    entropy: Entropy = Field(
        "scaled",
        description="of the policy: TD-MPC2's current one, before tanh and times the action "
        "dimension (scaled); that of the actions, as in SAC (squashed); or the first one with the "
        "correction of the second, as in TD-MPC2's first version (scaled_squashed)",
    )
    log_std_min: LogStd = Field(-10.0, description="of the policy")
    log_std_max: LogStd = Field(2.0, description="of the policy")
    # Update
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = Field(
        256, description="sub-sequences, or state-action pairs, from each stream"
    )
    learning_rate: Positive = Field(3e-4, description="of Adam")
    lr_schedule: Schedule = Field(
        "step", description="constant, linear to 0, or times 0.1 every so often (step)"
    )
    grad_clip: Positive = Field(20.0, description="largest norm of a gradient")
    average: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="decay, in an update, of an exponential mean of the weights; it is evaluated "
        "and saved in place of the last weights, exploration and training never see it; 0: none",
    )
    # Course of the training
    steps: Count = Field(500_000, description="agent steps, or updates where nothing interacts")
    eval_every: Count = Field(10_000, description="steps between the points of the learning curve")
    eval_episodes: Annotated[int, Field(ge=1, le=10_000)] = Field(
        5, description="of a point of the learning curve"
    )
    log_every: Annotated[int, Field(ge=1, le=10**5)] = Field(
        500, description="updates between two rows of metrics"
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="the agent after the last step, or (experts alone) at the curve's best point",
    )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """The settings of a preset, with changes."""
        return cls(**{**cls.preset_values(name), **changes})

    @classmethod
    def preset_values(cls, name: str) -> dict[str, Any]:
        """The values of a preset, those of inherited classes included."""
        values: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            values |= base.__dict__.get("presets", {}).get(name, {})
        return values

    @classmethod
    def all_asks(cls) -> frozenset[str]:
        """`asks`, with those of the classes that it inherits from."""
        return frozenset().union(*(base.__dict__.get("asks", ()) for base in cls.__mro__))

    def replace(self, **changes: Any) -> Self:
        """A copy with changes, validated."""
        return type(self)(**{**self.model_dump(), **changes})

    def problems(self, use: Use) -> Iterator[Problem]:
        """The problems of these settings together, beyond the bounds of each."""
        if self.latent_dim % self.simnorm_dim:
            yield Problem(
                "latent_dim", f"{self.latent_dim} is not a multiple of {self.simnorm_dim}"
            )
        yield from self.ordered("log_std_min", "log_std_max")

    def ordered(self, low: str, high: str) -> Iterator[Problem]:
        """A problem unless `low` is at most `high`."""
        if getattr(self, low) > getattr(self, high):
            yield Problem(low, f"larger than {high}")


PRESETS = tuple(Settings.presets)


class WorldModelSettings(Settings):
    """Settings of methods that learn TD-MPC2's world model by interaction, with a reward model."""

    presets: ClassVar[Presets] = {
        "small": {
            "num_q": 2,
            "symlog_max": 6.0,  # finer bins: returns stay below 400
            "dropout": 0.0,
            # A thirtieth of the paper's updates must do: values propagate faster.
            "tau": 0.05,
            "mpc": False,
            "entropy_coef": 2e-3,
            # Demonstrations and evaluations act as training does, by samples.
            "eval_policy": "sample",
            "seed_steps": 1_000,
        },
        "medium": {
            "num_q": 2,
            "symlog_max": 6.0,
            "dropout": 0.0,
            "tau": 0.02,
            "plan_iterations": 4,
            "plan_samples": 128,
            "plan_policy_samples": 16,
            "plan_elites": 24,
            "seed_steps": 2_500,
        },
    }
    asks: ClassVar[frozenset[str]] = frozenset({"model_free"})

    # Networks
    num_q: Annotated[int, Field(ge=2, le=100)] = Field(5, description="Q networks")
    num_bins: Annotated[int, Field(ge=2, le=10_001)] = Field(
        101, description="in which returns are discretised"
    )
    symlog_max: Annotated[float, Field(ge=1e-12, le=80)] = Field(
        10.0, description="bins span [-symlog_max, symlog_max] in symlog space"
    )
    dropout: Annotated[float, Field(ge=0, le=0.99)] = Field(
        0.01, description="in the first layer of each Q"
    )
    # Update
    model_free: bool = Field(
        False, description="no latent dynamics: an actor-critic on encodings of observations"
    )
    horizon: Annotated[int, Field(ge=1, le=1000)] = Field(
        3, description="steps of a sub-sequence, and of a plan"
    )
    rho: Share = Field(
        0.5,
        description="weight of a step in the loss, to the power of its place in the sub-sequence",
    )
    tau: Share = Field(0.01, description="rate at which the target Q follow")
    encoder_lr_scale: Annotated[float, Field(ge=0, le=1000)] = Field(
        0.3, description="the encoder's learning rate, as a share of `learning_rate`"
    )
    policy_learning_rate: Positive | None = Field(None, description="null: learning_rate")
    policy_q: Literal["min", "mean"] = Field(
        "min", description="of two members of the Q ensemble, in the policy's objective"
    )
    lr_decay_every: Count = Field(
        500_000, description="updates; for lr_schedule `step`, times 0.1 each"
    )
    consistency_coef: Coefficient = Field(
        20.0, description="weight of the latent dynamics in the loss"
    )
    value_coef: Coefficient = Field(0.1, description="weight of Q in the loss")
    reward_coef: Coefficient = Field(0.1, description="weight of the reward model in the loss")
    entropy_coef: Coefficient = Field(
        1e-4, description="weight of the entropy in the policy's objective"
    )
    discount_min: Share = Field(0.95, description="smallest discount")
    discount_max: Share = Field(
        0.995, description="largest discount; between the two it follows from an episode's length"
    )
    # Acting: by MPPI, or (mpc false) by the policy prior as in the authors' code
    mpc: bool = Field(True, description="acts by planning (MPPI); else by the policy prior")
    eval_policy: Literal["mean", "sample", "plan"] = Field(
        "mean",
        description="how an agent that acts by the policy prior is evaluated: by its mean, its "
        "samples, or by MPPI",
    )
    plan_iterations: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="null: 6, or 8 when action_dim >= 20"
    )
    plan_samples: Size = Field(512, description="plans in an iteration")
    plan_policy_samples: Size = Field(24, description="of them, by the policy")
    plan_elites: Size = Field(64, description="plans of which the next ones are drawn")
    plan_temperature: Positive = Field(0.5, description="of the weights of elites")
    plan_min_std: Positive = Field(0.05, description="of the plans that are drawn")
    plan_max_std: Positive = Field(2.0, description="of the plans that are drawn")
    # Interaction
    seed_steps: Count | None = Field(
        None, description="random steps first; null: max(1000, 5 episodes)"
    )
    updates_per_step: Annotated[float, Field(ge=0, le=1000)] = Field(
        1.0, description="of the environment"
    )
    buffer_size: Count = Field(200_000, description="transitions")
    # Speed (docs/performance.md). Both change rounding, so they are a part of what a result is
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="of matrix products; tf32: a CUDA device's, elsewhere float32"
    )
    compile: Literal["auto", "captured"] | bool = Field(
        "auto",
        description="update step and planner by TorchInductor; captured: as they are, on CUDA as "
        "one graph of kernels; auto: captured on CUDA, elsewhere true in long trainings",
    )

    def problems(self, use: Use) -> Iterator[Problem]:
        from cdred.learning import derived

        yield from super().problems(use)
        for low, high in (
            ("discount_min", "discount_max"),
            ("plan_min_std", "plan_max_std"),
            ("plan_elites", "plan_samples"),
            ("plan_policy_samples", "plan_samples"),
        ):
            yield from self.ordered(low, high)
        if derived.plans(self) and self.model_free:
            yield Problem(
                "model_free", "nothing to plan in; set mpc: false and no eval_policy: plan"
            )
        yield from self._without_updates(use.episode_length)

    def of_observations(self, use: Use, key: str, pixels: str) -> Iterator[Problem]:
        """The problems of a reward of observations, which the setting `key` asks for: it has no use
        for `pixels`, and plans, which are latent, none for it."""
        from cdred.learning import derived

        if use.obs == "rgb":
            yield Problem(key, pixels)
        if derived.plans(self):
            reason = "plans are latent, this reward is not"
            yield Problem(key, f"{reason}; set mpc: false and no eval_policy: plan")

    def _without_updates(self, length: int | None) -> Iterator[Problem]:
        """The reasons why no update would ever be made, on episodes of `length` agent steps."""
        from cdred.learning import derived

        if derived.total_updates(self) < 1:
            yield Problem(
                "updates_per_step",
                f"{self.updates_per_step:g} over {self.steps} steps makes no update",
            )
        if length is None:
            return
        first = derived.seed_steps(length, self)
        if first > self.steps:
            key = "steps" if self.seed_steps is None else "seed_steps"
            yield Problem(
                key, f"{first} random steps come first, of {self.steps} in all: nothing is learned"
            )
        if self.steps < length:
            yield Problem(
                "steps", f"{self.steps} steps are less than one episode ({length}): nothing is kept"
            )
        if self.horizon > length:
            yield Problem(
                "horizon", f"{self.horizon} is longer than an episode ({length} agent steps)"
            )
        if self.buffer_size <= length:
            yield Problem(
                "buffer_size", f"{self.buffer_size} holds no episode; set at least {length + 1}"
            )
