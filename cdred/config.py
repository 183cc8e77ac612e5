"""The typed configuration: `params.yaml`, which both engines and all stages read, and overlays.

Imports the standard library and yaml alone: the engines validate before anything heavy loads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from cdred.checks import NAME, NAME_RULE, Checks, Place
from cdred.errors import CdredError, nearest
from cdred.learning.settings import PRESETS, Settings

PARAMS = Path("params.yaml")


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


class _Reader(Checks):
    """Turns plain data into the dataclasses above, with errors that say where."""

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

    def table(self, cls: type, data: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail(path, f"expected a table of named entries, got {_kind(data)}")
        for name in data:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                self.fail((*path, str(name)), f"not a valid entry name: {NAME_RULE}")
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
            given, data = data, {k: v for k, v in data.items() if k not in known and k != "preset"}
        self.mapping(data, path, valid)
        values = self.values(cls, data, path)
        if "settings" in fields:
            values["settings"] = Settings(**self.values(Settings, settings, path))
            self.check_settings(values["settings"], path)
            if "method" in values:
                self.check_meaning(given, values["method"], path)
        for name, f in fields.items():
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if required and name not in values:
                self.fail((*path, name), "missing")
        return cls(**values)

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


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {**_TYPES, dict: "a mapping", list: "a list"}
    kind = names.get(type(value), type(value).__name__)
    return f"{kind} ({value!r})" if type(value) in _TYPES else kind
