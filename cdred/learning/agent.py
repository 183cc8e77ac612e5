"""The agent as it is saved, published and run."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from numpy.typing import NDArray
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning import derived, registry
from cdred.learning.planner import Planner
from cdred.learning.reward_model import RewardModel
from cdred.learning.settings import Settings, WorldModelSettings
from cdred.learning.world_model import Policy, WorldModel

WEIGHTS, CONFIG = "model.safetensors", "config.json"
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
        self.model: Networks
        self.reward_model: RewardModel | None = None
        reward_model = registry.load(self.spec.reward_model)
        if reward_model is None:
            networks = registry.load(self.spec.networks)
            self.model = networks(self.settings, obs_shape, action_dim)
        else:
            assert isinstance(self.settings, WorldModelSettings)
            self.model = cast(
                Networks,
                WorldModel(self.settings, obs_shape, action_dim, scalar_q=reward_model.inverse),
            )
            self.reward_model = reward_model(self.settings, obs_shape, action_dim)
        self._planner: Planner | None = None

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The agent in a folder, or in an artifact's `pretrained_model`, ready to act.

        Raises CdredError when it is not there or not whole.
        """
        place = Path(folder)
        if (place / FOLDER).is_dir():
            place = place / FOLDER
        for name in (CONFIG, WEIGHTS):
            if not (place / name).is_file():
                raise CdredError(f"{place}: no {name}: not the folder of an agent")
        try:
            agent = cls(**_arguments(place / CONFIG))
            load_model(agent, place / WEIGHTS, strict=True)
        except CdredError as exc:
            raise CdredError(f"{place}: {exc}") from None
        except Exception as exc:  # of whatever is wrong with two files that others may have made
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

    def reset(self) -> None:
        """Forget the plans of earlier episodes. Call it when episodes start."""
        self._planner = None

    def acting_state(self) -> Tensor | None:
        """The memory of acting between steps: the last plan, if it plans."""
        return None if self._planner is None else self._planner.previous

    def restore_acting_state(self, state: Tensor | None) -> None:
        self._planner = None
        if state is not None:
            self._plans().previous = state.to(self.device)

    @torch.no_grad()
    def act(self, obs: NDArray[Any], explore: bool = False) -> NDArray[Any]:
        """Actions (N, A) in [-1, 1] for observations (N, *obs_shape) of N episodes side by side.

        By MPPI if the settings say `mpc`, or, unless `explore`, that they evaluate so; else by the
        policy prior: a sample of it if `explore` or if the settings evaluate by samples, its mean
        otherwise. A policy trained without a standard deviation acts by its mean.
        """
        z = self.model.encoder(torch.as_tensor(obs, device=self.device))
        way = self.acts_by(explore)
        if way == "plan":
            action: Tensor = self._plans().plan(z, explore)
        elif way == "sample":
            action = self.model.policy.sample(z)[0]
        else:
            action = self.model.policy.mean(z)
        return action.cpu().numpy()

    def acts_by(self, explore: bool = False) -> str:
        """`plan`, `sample` or `mean`."""
        return derived.acts_by(self.spec, self.settings, explore)

    def _plans(self) -> Planner:
        if self._planner is None:
            assert self.reward_model is not None
            assert isinstance(self.settings, WorldModelSettings)
            gamma = derived.discount(find(self.task).episode_length, self.settings)
            self._planner = Planner(
                self.world_model, self.reward_model, self.settings, gamma, self.action_dim
            )
        return self._planner

    def save(self, directory: Path) -> None:
        """Write model.safetensors and config.json into `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        save_model(self, str(directory / WEIGHTS))
        arguments = {
            "task": self.task, "method": self.method, "obs_shape": self.obs_shape,
            "action_dim": self.action_dim, "settings": self.settings.model_dump(),
        }  # fmt: skip
        text = json.dumps(arguments, sort_keys=True, indent=2)
        (directory / CONFIG).write_text(text, encoding="utf-8")


def _settings(spec: registry.Method, given: dict[str, Any]) -> Settings:
    """The method's settings of plain data; those of other methods that earlier versions saved are
    left out."""
    own = spec.settings.model_fields
    return spec.settings(**{k: v for k, v in given.items() if k in own or k not in FORMER_SETTINGS})


def _arguments(file: Path) -> dict[str, Any]:
    """The constructor's arguments in a config.json; other keys are a library's own."""
    data = json.loads(file.read_text(encoding="utf-8"))
    names = [name for name in inspect.signature(Agent).parameters if name in data]
    return {name: data[name] for name in names}
