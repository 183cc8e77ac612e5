"""The training loops: interaction and updates for world-model agents, cloning for BC."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cdred.envs import make
from cdred.envs.rollout import Episode, rollout
from cdred.envs.tasks import TASKS
from cdred.learning.agent import Agent
from cdred.learning.replay import Batch, Replay, join
from cdred.learning.settings import Settings, discount
from cdred.learning.update import Learner
from cdred.learning.world_model import WorldModel

# Called with the steps done and what to show beside them.
Report = Callable[[int, dict[str, float]], None]


@dataclass
class History:
    """What a training run leaves behind beside its agent, as rows of plain numbers."""

    curve: list[dict[str, float]] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)


def derive_seed(seed: int, purpose: str) -> int:
    """An independent seed for each purpose of one job (32 bits)."""
    words = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)
    return int(words[0])


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Evaluator:
    """Points of the learning curve: the same few seeded episodes each time."""

    def __init__(self, task: str, s: Settings, seed: int) -> None:
        base = derive_seed(seed, "curve")
        self.envs = [make(task) for _ in range(s.eval_episodes)]
        self.seeds = [(base + k) % 2**32 for k in range(s.eval_episodes)]

    def __call__(self, agent: Agent) -> dict[str, float]:
        agent.eval()
        with torch.random.fork_rng():  # a planner draws numbers; training must not notice
            agent.reset()
            returns = [e.episode_return for e in rollout(agent.act, self.envs, self.seeds)]
            agent.reset()
        return {
            "return_mean": float(np.mean(returns)),
            "return_min": float(np.min(returns)),
            "return_max": float(np.max(returns)),
        }


class MetricLog:
    """Collects the scalars of updates on the device; one transfer for each row of means."""

    def __init__(self, every: int, rows: list[dict[str, float]]) -> None:
        self.every, self.rows = every, rows
        self.pending: list[dict[str, Tensor]] = []

    def add(self, update: int, step: int, metrics: dict[str, Tensor]) -> None:
        self.pending.append(metrics)
        if len(self.pending) == self.every:
            self.flush(update, step)

    def flush(self, update: int, step: int) -> None:
        """Make a row of what is pending. Raises FloatingPointError naming a term that is not
        finite."""
        if not self.pending:
            return
        names = list(self.pending[0])
        table = torch.stack([torch.stack([m[n] for n in names]) for m in self.pending])
        row: dict[str, float] = {"step": step, "update": update}
        row |= dict(zip(names, table.mean(0).tolist(), strict=True))
        if "grad_norm" in names:
            row["grad_norm_max"] = table[:, names.index("grad_norm")].max().item()
        bad = [n for n in names if not np.isfinite(row[n])]
        bad.sort(key=lambda n: not n.endswith("_loss"))  # a term says more than what it led to
        if bad:
            raise FloatingPointError(f"{bad[0]} is {row[bad[0]]} before update {update}")
        self.rows.append(row)
        self.pending.clear()


def demonstration_replay(
    episodes: Iterable[Episode], s: Settings, obs_dim: int, action_dim: int, device: Any
) -> Replay:
    """All demonstrations in a replay of exactly their size, without rewards."""
    episodes = list(episodes)
    rows = sum(len(e.action) + 1 for e in episodes)
    replay = Replay(rows, obs_dim, action_dim, s.horizon, with_reward=False, device=device)
    for e in episodes:
        replay.add(torch.from_numpy(e.obs), torch.from_numpy(e.action))
    return replay


def train_online(
    task: str, method: str, s: Settings, seed: int, demonstrations: list[Episode],
    device: torch.device, report: Report,
) -> tuple[Agent, History]:  # fmt: skip
    """Interact and update for `s.steps` agent steps; the agent is the one after the last step.

    Methods whose reward model does not use the environment's reward never store it.
    """
    seed_everything(derive_seed(seed, "learner"))
    env = make(task, seed=derive_seed(seed, "environment"))
    env.action_space.seed(derive_seed(seed, "random actions"))
    obs_dim, action_dim = _sizes(env)
    agent = Agent.create(task, method, obs_dim, action_dim, s).to(device)
    assert agent.reward_model is not None and isinstance(agent.model, WorldModel)
    rewarded = agent.reward_model.uses_environment_reward
    replay = Replay(s.buffer_size, obs_dim, action_dim, s.horizon, rewarded, device)
    expert = None
    if agent.reward_model.uses_demonstrations:
        expert = demonstration_replay(demonstrations, s, obs_dim, action_dim, device)

    def sample() -> Batch:
        batch = replay.sample(s.batch_size)
        return batch if expert is None else join(expert.sample(s.batch_size), batch)

    length = TASKS[task].episode_length
    seed_steps = s.seed_steps if s.seed_steps is not None else max(1000, 5 * length)
    learner = Learner(
        agent.model, agent.reward_model, s, discount(length, s), int(s.steps * s.updates_per_step)
    )
    evaluate, history = Evaluator(task, s, seed), History()
    log = MetricLog(s.log_every, history.metrics)
    shown: dict[str, float] = {}
    trajectory = Trajectory(env.reset()[0])
    for step in range(1, s.steps + 1):
        if step <= seed_steps:
            action = env.action_space.sample()
        else:
            action = agent.act(trajectory.obs[-1][None], explore=True)[0]
        obs, reward, terminated, truncated, _ = env.step(action)
        trajectory.add(action, float(reward), obs)
        if terminated or truncated:
            e = trajectory.episode()
            if len(e.action) >= s.horizon:
                replay.add(
                    torch.from_numpy(e.obs), torch.from_numpy(e.action),
                    torch.from_numpy(e.reward) if rewarded else None,
                )  # fmt: skip
            trajectory = Trajectory(env.reset()[0])
            agent.reset()
        if step >= seed_steps and len(replay):
            # The updates of the random phase are made at its end, all at once.
            while learner.updates < int(step * s.updates_per_step):
                log.add(learner.updates + 1, step, learner.update(sample()))
        if step % s.eval_every == 0 or step == s.steps:
            point = evaluate(agent)
            history.curve.append({"step": step, "update": learner.updates, **point})
            shown = {"return": point["return_mean"]}
        report(step, shown)
    log.flush(learner.updates, s.steps)
    return agent.eval(), history


def train_bc(
    task: str, s: Settings, seed: int, demonstrations: list[Episode], device: torch.device,
    report: Report,
) -> tuple[Agent, History]:  # fmt: skip
    """Behaviour cloning for `s.steps` updates: mean squared error of the tanh mean."""
    seed_everything(derive_seed(seed, "learner"))
    obs = np.concatenate([e.obs[:-1] for e in demonstrations])
    action = np.concatenate([e.action for e in demonstrations])
    agent = Agent.create(task, "bc", obs.shape[1], action.shape[1], s).to(device)
    inputs, labels = torch.from_numpy(obs).to(device), torch.from_numpy(action).to(device)
    optimizer = torch.optim.Adam(agent.parameters(), lr=s.learning_rate, fused=True)
    evaluate, history = Evaluator(task, s, seed), History()
    log = MetricLog(s.log_every, history.metrics)
    shown: dict[str, float] = {}
    for step in range(1, s.steps + 1):
        if s.lr_schedule == "linear":
            optimizer.param_groups[0]["lr"] = s.learning_rate * (1 - (step - 1) / s.steps)
        drawn = torch.randint(len(inputs), (s.batch_size,), device=device)
        predicted = agent.model.policy.mean(agent.model.encoder(inputs[drawn]))
        loss = (predicted - labels[drawn]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(agent.parameters(), s.grad_clip)
        optimizer.step()
        log.add(step, step, {"bc_loss": loss.detach(), "grad_norm": norm})
        if step % s.eval_every == 0 or step == s.steps:
            point = evaluate(agent)
            history.curve.append({"step": step, "update": step, **point})
            shown = {"return": point["return_mean"]}
        report(step, shown)
    log.flush(s.steps, s.steps)
    return agent.eval(), history


class Trajectory:
    """An episode while it is being played."""

    def __init__(self, obs: np.ndarray) -> None:
        self.obs, self.action, self.reward = [obs], [], []  # type: ignore[var-annotated]

    def add(self, action: np.ndarray, reward: float, obs: np.ndarray) -> None:
        self.action.append(action)
        self.reward.append(reward)
        self.obs.append(obs)

    def episode(self) -> Episode:
        return Episode(
            np.stack(self.obs), np.stack(self.action), np.asarray(self.reward, np.float32), None, 0
        )


def _sizes(env: Any) -> tuple[int, int]:
    return env.observation_space.shape[0], env.action_space.shape[0]
