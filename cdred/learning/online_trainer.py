"""Training by interaction: act in the environment, keep whole episodes, update from replay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cdred.envs import make
from cdred.envs.episodes import Episode
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning import derived
from cdred.learning.agent import Agent
from cdred.learning.learner import Learner
from cdred.learning.monitor import Monitor
from cdred.learning.replay import Batch, Replay, join
from cdred.learning.reward_model import RewardModel
from cdred.learning.seeding import derive_seed, generator_state, restore_generator, stacked
from cdred.learning.settings import WorldModelSettings
from cdred.learning.trainer import Trainer


class OnlineTrainer(Trainer):
    """Trains by interaction: a step is an agent step in the environment and the updates due then.

    The environment's reward is never stored unless the method uses it.
    """

    def __init__(
        self, agent: Agent, s: WorldModelSettings, seed: int, demonstrations: list[Episode],
        monitor: Monitor,
    ) -> None:  # fmt: skip
        super().__init__(agent, s, seed, monitor)
        assert agent.reward_model is not None
        self.reward_model = agent.reward_model
        self.s: WorldModelSettings = s
        self.env = make(agent.task, agent.obs)
        self.env.action_space.seed(derive_seed(seed, "random actions"))
        device, length = agent.device, find(agent.task).episode_length
        self.rewarded = agent.spec.uses_environment_reward
        # No more rows than the training can fill, if every episode had one step.
        capacity = min(s.buffer_size, 2 * s.steps)
        self.replay = Replay(
            capacity, agent.obs_shape, agent.action_dim, s.horizon, self.rewarded, device
        )
        self.expert = None
        if agent.spec.uses_demonstrations:
            self.expert = demonstration_replay(
                demonstrations, s, agent.obs_shape, agent.action_dim, device
            )
        self.learner = Learner(
            agent.world_model, agent.reward_model, s, derived.discount(length, s),
            derived.total_updates(s),
        )  # fmt: skip
        agent.execute(derived.execution(s, device.type))
        self.seed_steps = derived.seed_steps(length, s)
        # Each episode has a seed of its own: with its actions, it can be played again.
        self.told = False  # that episodes end by themselves
        self.first_seed = derive_seed(seed, "environment")
        self.episodes = 0
        self.trajectory = self._start_episode()

    def _start_episode(self) -> Trajectory:
        self.agent.reset()
        return Trajectory(self.env.reset(seed=(self.first_seed + self.episodes) % 2**32)[0])

    def no_update(self) -> str:
        reason = super().no_update()
        if len(self.replay):
            return reason
        return (
            f"{reason}, as none of its {self.episodes} episodes had as many as the horizon, "
            f"{self.s.horizon}"
        )

    def close(self) -> None:
        super().close()
        self.env.close()

    def advance(self) -> None:
        if self.step <= self.seed_steps:
            action = self.env.action_space.sample()
        else:
            action = self.agent.act(self.trajectory.obs[-1][None], explore=True)[0]
        obs, reward, terminated, truncated, _ = self.env.step(action)
        self.trajectory.add(action, float(reward), obs)
        if terminated and not self.told:
            self.told = True
            self.monitor.notice(
                f"{self.agent.task}: episodes end by themselves; values are learned as if they "
                f"went on, as those of the paper's tasks do (docs/extending.md)"
            )
        if terminated or truncated:
            self._keep(self.trajectory.episode())
            self.episodes += 1
            self.trajectory = self._start_episode()
        if self.step >= self.seed_steps and len(self.replay):
            if not self.updates and self.expert is not None:
                self._prepare(self.expert)
            # The updates of the random phase are made at its end, all at once.
            while self.updates < int(self.step * self.s.updates_per_step):
                metrics = self.learner.step(self._sample())
                self.updated(self.learner.metric_names, metrics)

    def _prepare(self, expert: Replay) -> None:
        """Let the reward model look at the data. Raises CdredError when it keeps of it what is not
        saved."""
        before = _kept(self.reward_model)
        self.reward_model.prepare(expert, self.replay)
        after = _kept(self.reward_model)
        changed = [name for name in after if before.get(name) != after[name]]
        if changed:
            raise CdredError(
                f"{type(self.reward_model).__name__}.prepare sets {changed[0]}, which a training "
                f"that goes on would lack: fill a buffer that __init__ registers"
            )

    def _keep(self, e: Episode) -> None:
        if len(e.action) >= self.s.horizon:
            reward = torch.from_numpy(e.reward) if self.rewarded else None
            self.replay.add(torch.from_numpy(e.obs), torch.from_numpy(e.action), reward)

    def _sample(self) -> Batch:
        batch = self.replay.sample(self.s.batch_size)
        if self.expert is None:
            return batch
        return join(self.expert.sample(self.s.batch_size), batch)

    def state(self) -> dict[str, Any]:
        return {
            "learner": self.learner.state_dict(),
            "replay": self.replay.state_dict(),
            "random_actions": generator_state(self.env.action_space.np_random),
            "episodes": self.episodes,
            "actions": stacked(self.trajectory.action),
            "last_obs": torch.from_numpy(self.trajectory.obs[-1]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])
        self.replay.load_state_dict(state["replay"])
        restore_generator(self.env.action_space.np_random, state["random_actions"])
        # The simulator's state is made again by playing the episode so far.
        self.episodes = state["episodes"]
        self.trajectory = self._start_episode()
        for action in state["actions"].numpy():
            obs, reward, *_ = self.env.step(action)
            self.trajectory.add(action, float(reward), obs)
        if not np.array_equal(self.trajectory.obs[-1], state["last_obs"].numpy()):
            raise CdredError(
                f"{self.agent.task}: the saved episode does not come back from its actions: its "
                f"state was saved on another kind of machine or by another simulator; go on there, "
                f"or remove it from .cdred/state to start over"
            )


def _kept(module: RewardModel) -> dict[str, Any]:
    """The shapes of what is saved of a module, and its plain attributes by identity."""
    shapes: dict[str, Any] = {name: t.shape for name, t in module.state_dict().items()}
    return shapes | {k: (id(v), v) for k, v in vars(module).items() if not k.startswith("_")}


def demonstration_replay(
    episodes: Iterable[Episode],
    s: WorldModelSettings,
    obs_shape: list[int],
    action_dim: int,
    device: Any,
) -> Replay:
    """All demonstrations in a replay of exactly their size, without rewards.

    Raises CdredError when one is shorter than the horizon.
    """
    episodes = list(episodes)
    shortest = min((len(e.action) for e in episodes), default=s.horizon)
    if shortest < s.horizon:
        raise CdredError(
            f"horizon: {s.horizon} is longer than the shortest demonstration, of {shortest} steps; "
            f"set at most {shortest}, or leave such demonstrations out"
        )
    rows = sum(len(e.action) + 1 for e in episodes)
    replay = Replay(rows, obs_shape, action_dim, s.horizon, with_reward=False, device=device)
    for e in episodes:
        replay.add(torch.from_numpy(e.obs), torch.from_numpy(e.action))
    return replay


class Trajectory:
    """An episode while it is being played."""

    def __init__(self, obs: NDArray[Any]) -> None:
        self.obs, self.action, self.reward = [obs], [], []  # type: ignore[var-annotated]

    def add(self, action: NDArray[Any], reward: float, obs: NDArray[Any]) -> None:
        self.action.append(action)
        self.reward.append(reward)
        self.obs.append(obs)

    def episode(self) -> Episode:
        return Episode(
            np.stack(self.obs), np.stack(self.action), np.asarray(self.reward, np.float32), None, 0
        )
