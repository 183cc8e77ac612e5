"""The registry of methods (until the methods' own folders are merged: this table)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """A line of a figure: a column of metrics.csv. `expert`: in the colour of the expert's data."""

    column: str
    label: str
    expert: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure of the report over a run's training, of metrics that only its method has."""

    name: str
    title: str
    lines: tuple[Line, ...]
    logarithmic: bool = True


@dataclass(frozen=True)
class Display:
    """How the report, the published cards and the tools present a method."""

    label: str
    summary: str
    losses: dict[str, str] = field(
        default_factory=lambda: {
            "consistency_loss": "Consistency loss",
            "reward_loss": "Reward loss",
            "value_loss": "Value loss",
            "policy_loss": "Policy loss",
        }
    )
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Method:
    """What a method is to the learner."""

    display: Display
    reward_model: str | None = "a module"
    uses_demonstrations: bool = True
    uses_environment_reward: bool = False
    interacts: bool = True
    plans: bool = True
    samples: bool = True
    name: str = ""

    @property
    def unit(self) -> str:
        return "step" if self.interacts else "update"

    def presentation(self) -> Display:
        return self.display

    def losses(self) -> dict[str, str]:
        return self.display.losses


_ERRORS = Figure(
    "errors",
    "Errors of the two predictors",
    tuple(
        Line(
            f"{predictor}_error_on_{stream}",
            f"{owner} on {data}",
            expert=predictor == "expert",
            dashed=stream != predictor,
        )
        for predictor, owner in (("expert", "expert's"), ("behaviour", "agent's"))
        for stream, data in (("expert", "expert data"), ("behaviour", "agent data"))
    ),
)
_METHODS = {
    "expert": Method(
        Display("TD-MPC2", "an expert, trained from the environment's reward"),
        uses_demonstrations=False, uses_environment_reward=True,
    ),
    "cdred": Method(
        Display("CDRED", "CDRED, trained from demonstrations without rewards", figures=(_ERRORS,))
    ),
    "red": Method(
        Display(
            "RED",
            "random expert distillation (CDRED at zeta 1), from demonstrations without rewards",
            figures=(_ERRORS,),
        )
    ),
    "iqmpc": Method(
        Display("IQ-MPC", "inverse soft Q learning (IQ-MPC), from demonstrations without rewards")
    ),
    "cfil": Method(
        Display(
            "CFIL", "coupled flow imitation learning (CFIL), from demonstrations without rewards"
        )
    ),
    "bc": Method(
        Display("BC", "behaviour cloning of demonstrations", {"bc_loss": "Cloning loss"}),
        reward_model=None, interacts=False, plans=False, samples=False,
    ),
}  # fmt: skip


def find(name: str) -> Method:
    return _METHODS[name]
