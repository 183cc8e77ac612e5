"""The typed configuration: `params.yaml`, which both engines and all stages read, and overlays.

Imports the standard library and yaml alone: the engines validate before anything heavy loads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import yaml

from cdred.envs.tasks import TASKS
from cdred.errors import CdredError, nearest
from cdred.learning.settings import PRESETS, Settings

if TYPE_CHECKING:
    from cdred.envs.rollout import Episode

PARAMS = Path("params.yaml")
COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")

Place = dict[tuple[str, ...], str]  # key path -> "file:line"


@dataclass(frozen=True)
class Experiment:
    """Which jobs are asked for: tasks x runs x seeds."""

    name: str
    tasks: list[str]
    runs: list[str]
    seeds: list[int]


@dataclass(frozen=True)
class Expert:
    """How an expert is made: trained from the environment's reward, the benchmark's scripted
    policy, or an agent that somebody trained. Other keys are learner settings over the preset."""

    settings: Settings
    source: Literal["train", "scripted", "checkpoint", "hub"] = "train"
    obs: Literal["state", "rgb"] = "state"
    seed: int = 0
    checkpoint: str | None = None  # a directory, or a model on the Hugging Face Hub
    revision: str | None = None  # of a model on the Hub; with source: hub a commit


@dataclass(frozen=True)
class Demos:
    """Demonstrations: full episodes of an expert, as seen in an observation mode from which it
    need not act; or `path`, what others recorded. `only` those that succeed, or with a return of
    at least `min_return`."""

    episodes: int
    expert: str | None = None
    source: Literal["expert", "minari", "maniskill2", "pickle", "hub"] = "expert"
    # A file or directory, a Minari dataset's id, or a dataset on the Hub at the commit `revision`
    path: str | None = None
    revision: str | None = None
    stride: int = 1  # of a recording at another rate: every how many-th step is one of the task's
    obs: Literal["state", "rgb"] = "state"
    seed: int = 0
    only: Literal["all", "successful"] = "all"
    min_return: float | None = None

    @property
    def selects(self) -> bool:
        return self.only != "all" or self.min_return is not None

    def wants(self, episode: Episode) -> bool:
        successful = self.only == "all" or bool(episode.success)
        return successful and (self.min_return is None or episode.episode_return >= self.min_return)


@dataclass(frozen=True)
class Run:
    """A way to imitate: method, demonstrations and how many of their episodes (null: all).
    Other keys are learner settings over the preset."""

    settings: Settings
    method: Literal["cdred", "red", "iqmpc", "cfil", "bc"]
    demos: str
    demo_episodes: int | None = None


@dataclass(frozen=True)
class Evaluation:
    episodes: int = 20
    seed: int = 0
    video: int = 150  # steps of the first episode that are filmed; 0: none


@dataclass(frozen=True)
class Acceptance:
    """What an expert must reach over `episodes` of its own; else its stage fails. No part of a
    result's identity: a trained expert that failed is there when less is asked of it."""

    threshold: dict[str, float] = field(default_factory=dict)  # by task
    published_share: float = 0.9  # of TD-MPC2's published score, where no threshold is named
    episodes: int = 20
    accept_below: bool = False


@dataclass(frozen=True)
class Compute:
    """Where and how fast, never what: none of it is part of a job's identity."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1  # of one training job
    environments: Literal["serial", "parallel"] = "serial"  # those of an evaluation: a process each
    container: str = "cdred.sif"  # what --use-singularity runs: a file, or docker://...@sha256:...
    tracking: Literal["mlflow", "none"] = "mlflow"
    save_every: float = (
        60.0  # seconds between two saves of the state that a killed job resumes from
    )


@dataclass(frozen=True)
class Hub:
    """As whom, and under what terms, `cdred publish` publishes. No part of a result's identity."""

    namespace: str | None = None  # a user or organisation of the Hugging Face Hub
    license: str = "mit"
    private: bool = False


@dataclass(frozen=True)
class Config:
    experiment: Experiment
    experts: dict[str, Expert]
    demos: dict[str, Demos]
    runs: dict[str, Run]
    expert: Acceptance = field(default_factory=Acceptance)
    evaluation: Evaluation = field(default_factory=Evaluation)
    compute: Compute = field(default_factory=Compute)
    hub: Hub = field(default_factory=Hub)


# Numbers outside of these ranges are errors, in whatever table they stand: name -> (low, high).
_RANGES: dict[str, tuple[float, float]] = {
    "alpha": (0, 1), "zeta": (0, 1), "rho": (0, 1), "tau": (0, 1), "dropout": (0, 0.99),
    "discount_min": (0, 1), "discount_max": (0, 1), "updates_per_step": (0, 1000),
    "encoder_lr_scale": (0, 1000), "consistency_coef": (0, 1e6), "value_coef": (0, 1e6),
    "reward_coef": (0, 1e6), "entropy_coef": (0, 1e6), "log_std_min": (-100, 100),
    "log_std_max": (-100, 100), "seed": (0, 2**32 - 1), "seeds": (0, 2**32 - 1),
    "num_q": (2, 100), "num_bins": (2, 10_001), "num_targets": (2, 1000),
    "save_every": (0, 1e6), "video": (0, 10_000), "min_return": (-1e12, 1e12),
    "published_share": (0, 10), "zeta_end": (0, 1), "gradient_penalty": (0, 1e6),
    "flow_noise": (0, 1e6), "flow_likelihood_coef": (0, 1e6),
}  # fmt: skip


_METHODS = typing.get_args(typing.get_type_hints(Run)["method"])
# Settings that ask something of one kind of reward.
_OF_METHODS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("cdred",): ("zeta", "zeta_end"),  # red is zeta 1
    ("cdred", "red"): ("alpha", "num_targets", "transform", "reward_space"),
    ("iqmpc",): ("iq_alpha", "gradient_penalty"),
    ("cfil",): ("flow_transforms", "flow_noise", "flow_likelihood_coef"),
    ("cdred", "red", "iqmpc", "cfil"): ("model_free",),
}


def load(path: Path = PARAMS) -> Config:
    """Read and validate a complete configuration.

    Raises CdredError naming file, line, key and what would be valid.
    """
    data, places = read_yaml(path)
    return validate(data, places, str(path))


def read_yaml(path: Path) -> tuple[dict[str, Any], Place]:
    """A YAML mapping and the line of each of its keys. Duplicate keys are errors."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CdredError(f"{path}: no such file; run cdred in the checkout's root") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise CdredError(f"{path}: cannot be read: {exc}") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(exc, "problem", None) or "not readable"
        raise CdredError(f"{where}: not valid YAML: {problem}") from None
    if not isinstance(data, dict):
        raise CdredError(f"{path}: expected a mapping of keys")
    places: Place = {(): str(path)}

    def walk(node: yaml.Node | None, prefix: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*prefix, str(key.value))
                where = f"{path}:{key.start_mark.line + 1}"
                if here in places:
                    raise CdredError(f"{where}: {'.'.join(here)}: this key stands here twice")
                places[here] = where
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for k, value in enumerate(node.value):
                here = (*prefix, str(k))
                places[here] = f"{path}:{value.start_mark.line + 1}"
                walk(value, here)

    walk(root, ())
    return data, places


def validate(data: dict[str, Any], places: Place, source: str) -> Config:
    """The typed configuration of plain data; see `load`."""
    return _Reader(places, source).config(data)


class _Reader:
    """Turns plain data into the dataclasses above, with errors that say where."""

    def __init__(self, places: Place, source: str) -> None:
        self.places, self.source = places, source

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        known = path
        while known not in self.places and known:
            known = known[:-1]
        where = self.places.get(known, self.source)
        raise CdredError(f"{where}: {'.'.join(path) or 'configuration'}: {message}")

    def config(self, data: dict[str, Any]) -> Config:
        self.mapping(data, (), [f.name for f in dataclasses.fields(Config)])
        for key in ("experiment", "experts", "demos", "runs"):
            if key not in data:
                self.fail((key,), "missing")
        config = Config(
            self.build(Experiment, data["experiment"], ("experiment",)),
            self.table(Expert, data["experts"], ("experts",)),
            self.table(Demos, data["demos"], ("demos",)),
            self.table(Run, data["runs"], ("runs",)),
            self.build(Acceptance, data.get("expert", {}), ("expert",)),
            self.build(Evaluation, data.get("evaluation", {}), ("evaluation",)),
            self.build(Compute, data.get("compute", {}), ("compute",)),
            self.build(Hub, data.get("hub", {}), ("hub",)),
        )
        self.check_names(config)
        return config

    def check_names(self, c: Config) -> None:
        """Every name refers to something that exists, once."""
        for name, demos in c.demos.items():
            self.check_demos(name, demos, list(c.experts))
        for task in c.expert.threshold:
            if task not in TASKS:
                self.unknown(("expert", "threshold", task), "task", task, list(TASKS))
        for name, run in c.runs.items():
            if name in c.experts:
                self.fail(
                    ("runs", name), "an expert has this name too; their results would collide"
                )
            if run.demos not in c.demos:
                self.unknown(("runs", name, "demos"), "demos entry", run.demos, list(c.demos))
            available = c.demos[run.demos].episodes
            if run.demo_episodes is not None and run.demo_episodes > available:
                self.fail(
                    ("runs", name, "demo_episodes"),
                    f"{run.demo_episodes} episodes asked for, demos.{run.demos} has {available}",
                )
            if run.settings.keep == "best":
                reason = "the environment's reward must not choose an imitating agent"
                self.fail(("runs", name, "keep"), f"'best' is for experts: {reason}")
            self.check_reward_space(name, run, c.demos[run.demos].obs)
        e = c.experiment
        if not NAME.fullmatch(e.name):
            self.fail(("experiment", "name"), f"{e.name!r}: {_NAME_RULE}")
        tables: list[tuple[str, str, list, list]] = [
            ("tasks", "task", e.tasks, list(TASKS)), ("runs", "run", e.runs, list(c.runs)),
        ]  # fmt: skip
        for key, kind, chosen, valid in tables:
            for k, name in enumerate(chosen):
                if name not in valid:
                    self.unknown(("experiment", key, str(k)), kind, name, valid)
        for key, items in (("tasks", e.tasks), ("runs", e.runs), ("seeds", e.seeds)):
            if not items:
                self.fail(("experiment", key), "empty; name at least one")
            for k, item in enumerate(items):
                if item in items[:k]:
                    self.fail(("experiment", key, str(k)), f"{item} stands here twice")
        used = {c.demos[c.runs[run].demos].expert for run in e.runs}  # None: others' recordings
        for name, expert in c.experts.items():
            self.check_expert(name, expert, e.tasks if name in used else [])

    def check_reward_space(self, name: str, run: Run, obs: str) -> None:
        """Rewards on observations: of states, and not where plans are made of latents."""
        if run.method == "cfil":
            path = ("runs", name, "method")
        elif run.settings.reward_space == "observation":
            path = ("runs", name, "reward_space")
        else:
            return
        if obs == "rgb":
            self.fail(path, "pixels have no density of their own here")
        if run.settings.plans:
            reason = "plans are latent, this reward is not"
            self.fail(path, f"{reason}; set mpc: false and no eval_policy: plan")
        if run.settings.compile and run.method == "cfil":
            self.fail(path, "its flows cannot be compiled; set compile: false")

    def check_demos(self, name: str, demos: Demos, experts: list[str]) -> None:
        """Demonstrations come from an expert here, or from what others recorded."""
        path = ("demos", name)
        own = demos.source == "expert"
        needed, other = ("expert", "path") if own else ("path", "expert")
        if getattr(demos, needed) is None:
            self.fail((*path, needed), f"missing, with source: {demos.source}")
        if getattr(demos, other) is not None:
            self.fail((*path, other), f"has no meaning with source: {demos.source}")
        if demos.source == "hub":
            self.check_commit(path, demos.revision)
        elif demos.revision is not None:
            self.fail((*path, "revision"), f"has no meaning with source: {demos.source}")
        if own and demos.stride != 1:
            self.fail((*path, "stride"), "is for what others recorded")
        if own and demos.expert not in experts:
            self.unknown((*path, "expert"), "expert", str(demos.expert), experts)

    def check_commit(self, path: tuple[str, ...], revision: str | None) -> None:
        """What a result depends on must not move, as branches and tags do."""
        if revision is None or not COMMIT.fullmatch(revision):
            self.fail(
                (*path, "revision"),
                f"{revision or 'missing'}: the 40 hexadecimal digits of a commit; `cdred pull` "
                f"prints them",
            )

    def check_expert(self, name: str, expert: Expert, tasks: list[str]) -> None:
        """What an expert's source asks for is there, and nothing else."""
        path = ("experts", name)
        wanted = expert.source in ("checkpoint", "hub")
        if wanted and expert.checkpoint is None:
            self.fail((*path, "checkpoint"), "missing: a directory, or a model on the Hub")
        for key in ("checkpoint", "revision"):
            if not wanted and getattr(expert, key) is not None:
                self.fail((*path, key), f"has no meaning with source: {expert.source}")
        if expert.source == "hub":
            self.check_commit(path, expert.revision)
        if expert.source == "scripted":
            if expert.obs != "state":
                self.fail((*path, "obs"), "scripted policies look at state alone")
            for task in tasks:
                if TASKS[task].suite != "metaworld":
                    self.fail((*path, "source"), f"{task} has no scripted policy; Meta-World's do")

    def unknown(self, path: tuple[str, ...], kind: str, name: str, valid: list[str]) -> NoReturn:
        self.fail(path, f"no {kind} is called {name!r}; {nearest(name, valid)}")

    def table(self, cls: type, data: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail(path, f"expected a table of named entries, got {_kind(data)}")
        for name in data:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                self.fail((*path, str(name)), f"not a valid entry name: {_NAME_RULE}")
        return {name: self.build(cls, entry, (*path, name)) for name, entry in data.items()}

    def build(self, cls: type, data: Any, path: tuple[str, ...]) -> Any:
        fields = {f.name: f for f in dataclasses.fields(cls)}
        settings: dict[str, Any] = {}
        valid = list(fields)
        if "settings" in fields:  # learner settings stand flat beside the entry's own keys
            known = [f.name for f in dataclasses.fields(Settings)]
            valid = [n for n in fields if n != "settings"] + ["preset"] + known
            self.mapping(data, path, valid)
            preset = data.get("preset", "paper")
            if not isinstance(preset, str) or preset not in PRESETS:
                self.unknown((*path, "preset"), "preset", str(preset), list(PRESETS))
            settings = PRESETS[preset] | {k: v for k, v in data.items() if k in known}
            if cls is Run:
                self.check_meaning(data, path)
            data = {k: v for k, v in data.items() if k not in known and k != "preset"}
        self.mapping(data, path, valid)
        values = self.values(cls, data, path)
        if "settings" in fields:
            values["settings"] = Settings(**self.values(Settings, settings, path))
            self.check_settings(values["settings"], path)
        for name, f in fields.items():
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if required and name not in values:
                self.fail((*path, name), "missing")
        return cls(**values)

    def check_meaning(self, data: dict[str, Any], path: tuple[str, ...]) -> None:
        """What a run says of its method's reward, its reward has: else it would be an experiment
        that never happened."""
        method = data.get("method")
        for methods, keys in _OF_METHODS.items():
            for key in keys:
                if key in data and method in _METHODS and method not in methods:
                    self.fail((*path, key), f"has no meaning with method: {method}")

    def check_settings(self, s: Settings, path: tuple[str, ...]) -> None:
        if s.latent_dim % s.simnorm_dim:
            self.fail((*path, "latent_dim"), f"{s.latent_dim} is not a multiple of {s.simnorm_dim}")
        for low, high in (
            ("discount_min", "discount_max"),
            ("log_std_min", "log_std_max"),
            ("plan_min_std", "plan_max_std"),
            ("plan_elites", "plan_samples"),
            ("plan_policy_samples", "plan_samples"),
        ):
            if getattr(s, low) > getattr(s, high):
                self.fail((*path, low), f"larger than {high}")
        if s.plans and s.model_free:
            self.fail(
                (*path, "model_free"), "nothing to plan in; set mpc: false and no eval_policy: plan"
            )
        if s.compile and s.gradient_penalty:
            self.fail((*path, "gradient_penalty"), "torch.compile has no second derivatives")

    def mapping(self, data: Any, path: tuple[str, ...], valid: list[str]) -> None:
        if not isinstance(data, dict):
            self.fail(path, f"expected a mapping of keys, got {_kind(data)}")
        for key in data:
            if key not in valid:
                self.fail((*path, str(key)), f"unknown key; {nearest(str(key), valid)}")

    def values(self, cls: type, data: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        hints = typing.get_type_hints(cls)
        return {k: self.value(hints[k], v, (*path, k)) for k, v in data.items()}

    def value(self, hint: Any, value: Any, path: tuple[str, ...]) -> Any:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is Literal:
            if value not in args:
                shown = value if isinstance(value, str) else str(value)
                self.unknown(path, path[-1], shown, list(args))
            return value
        if origin is dict:
            if not isinstance(value, dict):
                self.fail(path, f"expected a mapping of keys, got {_kind(value)}")
            return {str(k): self.value(args[1], v, (*path, str(k))) for k, v in value.items()}
        if origin is list:
            if not isinstance(value, list):
                self.fail(path, f"expected a list, got {_kind(value)}")
            return [self.value(args[0], v, (*path, str(k))) for k, v in enumerate(value)]
        if origin in (types.UnionType, typing.Union):
            if value is None:
                return None
            (hint,) = [a for a in args if a is not type(None)]
        if hint is float and isinstance(value, str):
            with contextlib.suppress(ValueError):  # YAML 1.1 reads 1e-3 as text
                value = float(value)
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not hint:
            self.fail(path, f"expected {_TYPES[hint]}, got {_kind(value)}")
        if hint in (int, float):
            key = path[-1] if not path[-1].isdigit() else path[-2]
            low, high = _RANGES.get(key, (1 if hint is int else 1e-12, 1e12))
            if not low <= value <= high:
                self.fail(path, f"{value} is outside of {low:g} to {high:g}")
        return value


_TYPES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_NAME_RULE = "lower-case letters and digits, joined by single - or _, as it names files"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {**_TYPES, dict: "a mapping", list: "a list"}
    kind = names.get(type(value), type(value).__name__)
    return f"{kind} ({value!r})" if type(value) in _TYPES else kind
