"""The models of the configuration's tables, with bounds on every field.

Entries of `experts` and `demos` are told apart by `source`, those of `runs` by `method`, whose
settings stand flat beside the entry's own keys.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from cdred import methods
from cdred.learning.settings import Positive, Settings

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Episodes = Annotated[int, Field(ge=1, le=10_000)]  # each in an environment of its own
Obs = Literal["state", "rgb"]
Only = Literal["all", "successful", "successful_once"]  # episodes
OBSERVED = "what it acts on: a vector, or pixels"
REVISION = "a commit's 40 hexadecimal digits, which `cdred pull` prints: branches and tags move"
HUB_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,94}[A-Za-z0-9])?$"


class Table(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


class Experiment(Table):
    """The jobs that are asked for: tasks x runs x seeds."""

    name: str = Field(description="that of its report, reports/NAME")
    tasks: list[str] = Field(description="as `cdred tasks` lists them, or module:function")
    runs: list[str] = Field(description="the entries of runs that are made")
    seeds: list[Seed] = Field(description="of the trainings: one agent for each")


class Entry(Table):
    """A named entry, from which jobs are made."""

    def params(self) -> dict[str, Any]:
        """All that a result depends on of it, as flat plain data."""
        return self.model_dump()


class TrainedExpert(Entry):
    """An expert trained from the environment's reward. Other keys are learner settings over the
    preset."""

    checkpoint: ClassVar[None] = None
    revision: ClassVar[None] = None

    source: Literal["train"] = "train"
    obs: Obs = Field("state", description=OBSERVED)
    seed: Seed = Field(0, description="of its training")
    settings: InstanceOf[Settings] = Field(exclude=True)

    def params(self) -> dict[str, Any]:
        return self.model_dump() | self.settings.model_dump()


class GivenExpert(Entry):
    """An expert that is not trained here."""

    settings: ClassVar[None] = None

    obs: Obs = Field("state", description=OBSERVED)
    # Decides nothing, as nothing is learned.
    seed: Seed = Field(0, exclude=True, description="without effect: nothing is learned")


class ScriptedExpert(GivenExpert):
    """The task's scripted policy."""

    checkpoint: ClassVar[None] = None
    revision: ClassVar[None] = None

    source: Literal["scripted"]


class CheckpointExpert(GivenExpert):
    """An agent in a directory."""

    revision: ClassVar[None] = None

    source: Literal["checkpoint"]
    checkpoint: str = Field(min_length=1, description="a directory")


class HubExpert(GivenExpert):
    """An agent on the Hugging Face Hub, at a commit."""

    source: Literal["hub"]
    checkpoint: str = Field(min_length=1, description="a model's repository")
    revision: str = Field(description=REVISION)


Expert = TrainedExpert | ScriptedExpert | CheckpointExpert | HubExpert


class DemosEntry(Entry):
    """Demonstrations: full episodes. `only` those that succeed, at their end or once, or with a
    return of at least `min_return`."""

    episodes: Episodes = Field(description="how many episodes")
    obs: Obs = Field("state", description="what they hold: a vector, or pixels")
    only: Only = Field(
        "all",
        description="successful: those whose last state is a success; successful_once: any state",
    )
    min_return: Annotated[float, Field(ge=-1e12, le=1e12)] | None = Field(
        None, description="those below are left out; null: none"
    )


class ExpertDemos(DemosEntry):
    """Episodes of an expert here, as seen in an observation mode from which it need not act."""

    path: ClassVar[None] = None
    revision: ClassVar[None] = None
    stride: ClassVar[int] = 1

    source: Literal["expert"] = "expert"
    expert: str = Field(description="an entry of experts")
    seed: Seed = Field(0, description="of the first episode; each has the next one")


class RecordedDemos(DemosEntry):
    """Recordings of others: a file, a directory, or a Minari dataset's id."""

    expert: ClassVar[None] = None
    revision: ClassVar[None] = None
    seed: ClassVar[int] = 0

    source: Literal["minari", "maniskill2", "pickle"]
    path: str = Field(min_length=1, description="a file, a directory, or a dataset's id")
    stride: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="of a recording at another rate: every how many-th step is one of the task's"
    )
    check_observations: bool = Field(
        True,
        exclude=True,  # decides whether they are taken, not what they are
        description="refuse those that are not in the order and units of the environment's",
    )


class HubDemos(DemosEntry):
    """A dataset that cdred published on the Hugging Face Hub, at a commit; at the task's own rate,
    as all of its are."""

    expert: ClassVar[None] = None
    seed: ClassVar[int] = 0
    stride: ClassVar[int] = 1

    source: Literal["hub"]
    path: str = Field(min_length=1, description="a dataset's repository")
    revision: str = Field(description=REVISION)


Demos = ExpertDemos | RecordedDemos | HubDemos


class Run(Entry):
    """A way to imitate: method, demonstrations and how many of their episodes (null: all). Other
    keys are settings of the method over the preset."""

    method: str = Field(description="its name, or module:NAME")
    demos: str = Field(description="an entry of demos")
    demo_episodes: Episodes | None = Field(
        None, description="how many of the demonstrations it sees; null: all"
    )
    settings: InstanceOf[Settings] = Field(exclude=True)

    @property
    def definition(self) -> methods.Method:
        return methods.find(self.method)

    def params(self) -> dict[str, Any]:
        return self.model_dump() | self.settings.model_dump()


class Evaluation(Table):
    """The episodes by which every agent is judged."""

    episodes: Episodes = Field(20, description="of each agent")
    seed: Seed = Field(0, description="of the first episode; each has the next one")
    video: Annotated[int, Field(ge=0, le=10_000)] = Field(
        150, description="steps of the median and of the worst episode that are filmed; 0: none"
    )


class Acceptance(Table):
    """The score that an expert must reach over `episodes` of its own; else its stage fails.

    No part of a result's identity: a trained expert that failed is there when less is asked."""

    threshold: dict[str, Positive] = Field(default_factory=dict, description="by task")
    published_share: Annotated[float, Field(ge=0, le=10)] = Field(
        0.9, description="of TD-MPC2's published score, where no threshold is named"
    )
    episodes: Episodes = Field(20, description="over which it is measured")
    accept_below: bool = Field(False, description="take it all the same")


class Compute(Table):
    """The circumstances of jobs, where and how fast: none of it is part of their identity."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where jobs compute; auto: on a GPU if there is one"
    )
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(1, description="of one training job")
    environments: Literal["serial", "parallel"] = Field(
        "serial", description="those of an evaluation: parallel, a process each"
    )
    container: str = Field(
        "cdred.sif",
        min_length=1,
        description="what --use-singularity runs: a file, or docker://...@sha256:...",
    )
    tracking: Literal["mlflow", "none"] = Field("mlflow", description="what is told of runs")
    save_every: Annotated[float, Field(ge=0, le=1e6)] = Field(
        60.0, description="seconds between two saves of the state that a killed job resumes from"
    )


class Hub(Table):
    """As whom, and under what terms, `cdred publish` publishes. No part of a result's identity."""

    namespace: str | None = Field(
        None, description="a user or organisation of the Hugging Face Hub"
    )
    license: str = Field(
        "mit", pattern=HUB_NAME, description="a license's identifier on the Hugging Face Hub"
    )
    private: bool = Field(False, description="whether new repositories are")


class Config(Table):
    """A complete configuration."""

    experiment: Experiment
    experts: dict[str, Expert] = Field(default_factory=dict)
    demos: dict[str, Demos]
    runs: dict[str, Run]
    expert: Acceptance = Acceptance()
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()
    hub: Hub = Hub()
