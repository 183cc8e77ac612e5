"""The agent as it is saved, published and run: networks plus what is needed to act."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from cdred.envs.tasks import find
from cdred.hub.pull import pull
from cdred.learning import rewards
from cdred.learning.planner import Planner
from cdred.learning.settings import Settings, discount
from cdred.learning.world_model import Policy, WorldModel, make_encoder


class BehaviourCloning(nn.Module):
    """The encoder and policy of the world model, without the rest of it."""

    def __init__(self, s: Settings, obs_shape: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.encoder = make_encoder(s, obs_shape)
        self.policy = Policy(s, action_dim)


class Agent(nn.Module, PyTorchModelHubMixin, library_name="cdred"):
    """`Agent.from_pretrained(path or Hub id)` restores it; `act` maps observations to actions.

    Saved as model.safetensors and config.json: world model, reward model with its random targets.
    """

    def __init__(
        self, task: str, method: str, obs_shape: list[int], action_dim: int,
        settings: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__()
        self.task, self.method = task, method
        self.obs_shape, self.action_dim = obs_shape, action_dim
        self.settings = Settings(**settings)
        self.model: WorldModel | BehaviourCloning
        self.reward_model: rewards.RewardModel | None
        if method == "bc":
            self.model = BehaviourCloning(self.settings, obs_shape, action_dim)
            self.reward_model = None
        else:
            inverse = rewards.find(method).inverse
            self.model = WorldModel(self.settings, obs_shape, action_dim, scalar_q=inverse)
            self.reward_model = rewards.build(method, self.settings, obs_shape, action_dim)
        self._planner: Planner | None = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name: str | Path, *, revision: str | None = None, **options: Any
    ) -> Agent:
        """The agent in a directory, or published on the Hub as `name` at `revision` (a commit, tag
        or branch), ready to act.

        Of the Hub only what cdred published is loaded, after its hashes were checked: the mixin's
        own way falls back to pickle. Raises CdredError when it is refused or cannot be had.
        """
        folder = Path(name)
        if not folder.is_dir():
            folder = pull(str(name), "model", revision).folder
        with contextlib.redirect_stdout(None):  # the client prints that the directory is local
            return super().from_pretrained(folder, **options).eval()

    @classmethod
    def create(
        cls, task: str, method: str, obs_shape: Sequence[int], action_dim: int, s: Settings
    ) -> Agent:
        return cls(
            task=task, method=method, obs_shape=[*obs_shape], action_dim=action_dim,
            settings=asdict(s),
        )  # fmt: skip

    @property
    def obs(self) -> str:
        """The observation mode that it acts on: `state`, or `rgb`."""
        return "rgb" if len(self.obs_shape) == 3 else "state"

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def reset(self) -> None:
        """Forget the plans of earlier episodes. Call it when episodes start."""
        self._planner = None

    def acting_state(self) -> Tensor | None:
        """What acting remembers between steps: the last plan, if it plans."""
        return None if self._planner is None else self._planner.previous

    def restore_acting_state(self, state: Tensor | None) -> None:
        self._planner = None
        if state is not None:
            self._plans().previous = state.to(self.device)

    @torch.no_grad()
    def act(self, obs: np.ndarray, explore: bool = False) -> np.ndarray:
        """Actions (N, A) in [-1, 1] for observations (N, *obs_shape) of N episodes side by side.

        By MPPI if the settings say `mpc`, or, unless `explore`, that they evaluate so; else by the
        policy prior: a sample of it if `explore` or if the settings evaluate by samples, its mean
        otherwise. Behaviour cloning, trained without a standard deviation, acts by its mean.
        """
        s = self.settings
        z = self.model.encoder(torch.as_tensor(obs, device=self.device))
        plans = s.mpc or (s.eval_policy == "plan" and not explore)
        if plans and isinstance(self.model, WorldModel):
            action: Tensor = self._plans().plan(z, explore)
        elif self.method != "bc" and (explore or s.eval_policy == "sample"):
            action = self.model.policy.sample(z)[0]
        else:
            action = self.model.policy.mean(z)
        return action.cpu().numpy()

    def _plans(self) -> Planner:
        if self._planner is None:
            assert isinstance(self.model, WorldModel) and self.reward_model is not None
            gamma = discount(find(self.task).episode_length, self.settings)
            self._planner = Planner(
                self.model, self.reward_model, self.settings, gamma, self.action_dim
            )
        return self._planner

    def save(self, directory: Path) -> None:
        """Write model.safetensors and config.json into `directory`."""
        self.save_pretrained(directory)
        readme = directory / "README.md"  # a card is written when publishing, from results
        readme.unlink(missing_ok=True)
