"""Training by any method: an expert from true reward, or imitation from demonstrations."""

from __future__ import annotations

import torch

from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.learning import registry
from cdred.learning.agent import Agent
from cdred.learning.monitor import Monitor
from cdred.learning.seeding import derive_seed, seed_everything
from cdred.learning.settings import Settings
from cdred.learning.trainer import History


def train(
    task: str, method: str, settings: Settings, seed: int, demonstrations: list[Episode],
    device: torch.device, monitor: Monitor | None = None, obs: str = "state",
    kind: type[Agent] = Agent,
) -> tuple[Agent, History]:  # fmt: skip
    """Train an agent by `method` (its name in cdred.methods), with settings of its class.

    `obs` is the observation mode; that of the demonstrations, if there are any. `kind`: the class
    of the agent.
    """
    seed_everything(derive_seed(seed, "learner"))
    shape = (find(task).obs_dim,) if obs == "state" else PIXEL_SHAPE
    agent = kind.create(task, method, shape, find(task).action_dim, settings).to(device)
    trainer = registry.load(agent.spec.trainer)
    _, history = trainer(agent, agent.settings, seed, demonstrations, monitor or Monitor()).run()
    agent.execute("captured")
    return agent, history
