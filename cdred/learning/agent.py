"""The agent as it is saved, published and run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cdred import documents
from cdred.documents import Document
from cdred.envs import former
from cdred.envs.tasks import PIXEL_SHAPE, check_trusted, find, lookup
from cdred.errors import CdredError
from cdred.learning import derived, registry, weights
from cdred.learning.device import send
from cdred.learning.planner import Planner
from cdred.learning.reward_model import RewardModel
from cdred.learning.settings import Settings, WorldModelSettings
from cdred.learning.world_model import Policy, WorldModel

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_WAYS = {"plan": "plans", "sample": "policy's samples", "mean": "policy's mean"}
FOLDER = "pretrained_model"  # of an artifact, where both lie
# Agents of earlier versions hold the settings of all methods, whatever their own is.
FORMER_SETTINGS = frozenset(
    {
        *("num_targets", "rnd_dim", "target_dim", "target_layers", "predictor_dim"),
        *("predictor_layers", "alpha", "zeta", "sigma", "transform", "zeta_end", "reward_space"),
        *("iq_alpha", "gradient_penalty"),
        *("flow_transforms", "flow_noise", "flow_likelihood_coef"),
        *WorldModelSettings.model_fields,
    }
)


class Arguments(Document):
    """The content of config.json: the arguments of `Agent`."""

    task: Annotated[str, Field(max_length=200)]
    method: Annotated[str, Field(max_length=200)]
    obs_shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=3)]
    action_dim: Annotated[int, Field(ge=1)]
    settings: dict[str, Any]
    format: int = 1


class Networks(nn.Module):
    """The networks that every agent has, for the type checker."""

    encoder: nn.Module
    policy: Policy


class Agent(nn.Module):
    """A trained or untrained agent: `from_pretrained` loads it, `act` maps observations to actions.

    Saved as model.safetensors and config.json: the networks, the reward model with its random
    targets, and the arguments below.
    """

    def __init__(
        self, task: str, method: str, obs_shape: list[int], action_dim: int,
        settings: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__()
        self.spec = registry.of_saved(method)
        self.task, self.method = task, self.spec.name
        self.obs_shape, self.action_dim = obs_shape, action_dim
        self.settings = _settings(self.spec, settings)
        self.model = _networks(self.spec, self.settings, obs_shape, action_dim)
        self.reward_model: RewardModel | None = None
        if (reward_model := registry.load(self.spec.reward_model)) is not None:
            self.reward_model = reward_model(self.settings, obs_shape, action_dim)
        self.execute("captured")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The agent in a folder, or in an artifact's `pretrained_model`, ready to act.

        Raises CdredError when it is not there or not whole, does not fit its task, or its weights
        are not those that its settings ask for, all finite.
        """
        place = Path(folder)
        if (place / FOLDER).is_dir():
            place = place / FOLDER
        for name in (CONFIG, WEIGHTS):
            if not (place / name).is_file():
                raise CdredError(f"{place}: no {name}: not the folder of an agent")
        try:
            arguments = _arguments(place / CONFIG)
            _check_weights(place / WEIGHTS, arguments)
            agent = cls(**arguments)
            weights.load_into(agent, place / WEIGHTS)
        except CdredError as exc:
            raise CdredError(f"{place}: {str(exc).removeprefix(f'{place}/')}") from None
        except Exception as exc:  # of whatever a method makes of the settings that somebody wrote
            reason = " ".join(str(exc).split())[:150]
            raise CdredError(f"{place}: cannot be loaded: {reason}") from None
        return agent.eval()

    @classmethod
    def create(
        cls, task: str, method: str, obs_shape: Sequence[int], action_dim: int, s: Settings
    ) -> Self:
        """An agent that has learned nothing yet."""
        return cls(task, method, [*obs_shape], action_dim, s.model_dump())

    @property
    def obs(self) -> str:
        """The observation mode that it acts on: `state`, or `rgb`."""
        return "rgb" if len(self.obs_shape) == 3 else "state"

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def world_model(self) -> WorldModel:
        """The networks of an agent that has a reward model."""
        assert isinstance(self.model, WorldModel)
        return self.model

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self.model.parameters())
        return (
            f"<agent of {self.task} by {self.method}: acts by its {_WAYS[self.acts_by()]}, "
            f"{count:,} parameters, on {self.device}>"
        )

    def execute(self, execution: derived.Execution) -> None:
        """Plan in this way from now on. Compiling, for each number of episodes anew, pays over a
        training alone."""
        self.execution = execution
        self._planner: Planner | None = None

    def reset(self) -> None:
        """Forget the plans of earlier episodes. Call it when episodes start."""
        if self._planner is not None:
            self._planner.reset()

    def acting_state(self) -> Tensor | None:
        """The memory of acting between steps: the last plan, if it plans."""
        return None if self._planner is None else self._planner.previous

    def restore_acting_state(self, state: Tensor | None) -> None:
        self.reset()
        if state is not None:
            self.planner.previous = state.to(self.device)

    @torch.no_grad()
    def act(self, obs: NDArray[Any], explore: bool = False) -> NDArray[Any]:
        """Actions (N, A) in [-1, 1] for observations (N, *obs_shape) of N episodes side by side.

        By MPPI if the settings say `mpc`, or, unless `explore`, that they evaluate so; else by the
        policy prior: a sample of it if `explore` or if the settings evaluate by samples, its mean
        otherwise. A policy trained without a standard deviation acts by its mean. Raises CdredError
        for observations of another shape, and for pixels that are not uint8.
        """
        shape = np.shape(obs)
        if shape[1:] != (*self.obs_shape,):
            expected = ", ".join(map(str, self.obs_shape))
            one = "; of a single one, give obs[None]" if shape == (*self.obs_shape,) else ""
            raise CdredError(f"obs of shape {shape}: observations here are (N, {expected}){one}")
        z = self.model.encoder(send(self._tensor(obs), self.device))
        way = self.acts_by(explore)
        if way == "plan":
            action: Tensor = self.planner.plan(z, explore)
        elif way == "sample":
            action = self.model.policy.sample(z)[0]
        else:
            action = self.model.policy.mean(z)
        return action.cpu().numpy()

    def _tensor(self, obs: Any) -> Tensor:
        """Observations of any kind of array or list as the networks take them."""
        tensor = obs if isinstance(obs, Tensor) else torch.from_numpy(np.ascontiguousarray(obs))
        if self.obs == "rgb" and tensor.dtype != torch.uint8:
            raise CdredError(f"obs of {tensor.dtype}: pixels here are uint8, from 0 to 255")
        return tensor if self.obs == "rgb" else tensor.float()

    def acts_by(self, explore: bool = False) -> str:
        """`plan`, `sample` or `mean`."""
        return derived.acts_by(self.spec, self.settings, explore)

    @property
    def planner(self) -> Planner:
        """The planner of an agent that can plan, made when it is first needed."""
        if self._planner is None:
            assert self.reward_model is not None
            assert isinstance(self.settings, WorldModelSettings)
            check_trusted(self.task)
            gamma = derived.discount(find(self.task).episode_length, self.settings)
            self._planner = Planner(
                self.world_model,
                self.reward_model,
                self.settings,
                gamma,
                self.action_dim,
                self.execution,
            )
        return self._planner

    def save(self, directory: str | Path) -> None:
        """Write model.safetensors and config.json into `directory`."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        weights.save(self, directory / WEIGHTS)
        arguments = {
            "task": self.task, "method": self.method, "obs_shape": self.obs_shape,
            "action_dim": self.action_dim, "settings": self.settings.model_dump(),
            "format": former.FORMAT,
        }  # fmt: skip
        text = json.dumps(arguments, sort_keys=True, indent=2)
        (directory / CONFIG).write_text(text, encoding="utf-8")


def _networks(
    spec: registry.Method, settings: Settings, obs_shape: list[int], action_dim: int
) -> Networks:
    """The networks of an agent but for its reward model's."""
    reward_model = registry.load(spec.reward_model)
    if reward_model is None:
        return cast(Networks, registry.load(spec.networks)(settings, obs_shape, action_dim))
    assert isinstance(settings, WorldModelSettings)
    inverse = reward_model.inverse
    return cast(Networks, WorldModel(settings, obs_shape, action_dim, scalar_q=inverse))


def _settings(spec: registry.Method, given: dict[str, Any]) -> Settings:
    """The method's settings of plain data; those of other methods that earlier versions saved are
    left out. Raises CdredError when one is unknown, or out of bounds."""
    own = spec.settings.model_fields
    kept = {k: v for k, v in given.items() if k in own or k not in FORMER_SETTINGS}
    return documents.check(spec.settings, kept, "settings")


def _arguments(file: Path) -> dict[str, Any]:
    """The constructor's arguments in a config.json; other keys are a library's own.

    Raises CdredError when they are not what they must be, or do not fit the task.
    """
    arguments = documents.read(file, Arguments)
    task = lookup(arguments.task)
    if task is not None and task.sized:
        shape = [task.obs_dim] if len(arguments.obs_shape) == 1 else [*PIXEL_SHAPE]
        for name, actual, expected in (
            ("obs_shape", arguments.obs_shape, shape),
            ("action_dim", arguments.action_dim, task.action_dim),
        ):
            if actual != expected:
                raise CdredError(
                    f"{file}: {name}: {actual}, those of {arguments.task} are {expected}"
                )
        obs = "state" if len(arguments.obs_shape) == 1 else "rgb"
        former.check_order("an agent", arguments.task, obs, arguments.format)
    return arguments.model_dump(exclude={"format"})


def _check_weights(file: Path, arguments: dict[str, Any]) -> None:
    """Refuse weights, with a CdredError, that are not of these arguments, before memory is taken
    for sizes that somebody wrote."""
    try:
        weights.check_fit(file, lambda: Agent(**arguments))
    except NotImplementedError:  # of flows, which compute masks as they are built
        spec = registry.of_saved(arguments["method"])
        sizes = _settings(spec, arguments["settings"]), arguments["obs_shape"]
        build = lambda: _networks(spec, *sizes, arguments["action_dim"])  # noqa: E731
        weights.check_fit(file, build, "model.")
