"""`cdred compile`: updates of trainings that are still to run, compiled before they are needed.

The first training of a quickstart takes one core; meanwhile the other can compile for the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.learning import derived
from cdred.learning.agent import Agent
from cdred.learning.device import prepare
from cdred.learning.learner import Learner
from cdred.learning.replay import Batch
from cdred.learning.settings import WorldModelSettings
from cdred.plan import Job, Plan, Training
from cdred.run.stages import COMPILED
from cdred.system import machine


def run(plan: Plan) -> Iterator[str]:
    """Compile the update of each training of the plan that compiles on this CPU, and yield the
    training's name; none where a GPU computes. Plans are left to the trainings that make them.

    Programs lie in the checkout's cache, where a training finds them; one that is there already
    takes seconds. Raises CdredError where there is no compiler.
    """
    device = plan.config.compute.device
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return
    cache = (plan.root / COMPILED / machine.kind()).resolve()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
    prepare(plan.config.compute.threads)
    for job in _first_of_each(plan):
        training = plan.training(job)
        assert training is not None
        update_of(job.task, training)()
        yield f"{job.task} {job.entry}"


def _first_of_each(plan: Plan) -> Iterator[Job]:
    """The trainings to run that compile: of each task and entry one, as its seeds share a program.
    Imitation first, as an expert's training compiles at its start itself."""
    seen = set()
    for job in sorted(plan.jobs, key=lambda job: job.stage == "expert"):
        training = plan.training(job)
        if training is None or (job.task, job.stage, job.entry) in seen or job.up_to_date():
            continue
        seen.add((job.task, job.stage, job.entry))
        s = training.settings
        if isinstance(s, WorldModelSettings) and derived.execution(s, "cpu") == "compiled":
            yield job


def update_of(task: str, training: Training) -> Callable[[], object]:
    """An update of a training on a task, on made-up data of its shapes."""
    method, s, obs = training
    spec = find(task)
    shape = (spec.obs_dim,) if obs == "state" else PIXEL_SHAPE
    kind = torch.float32 if obs == "state" else torch.uint8
    agent = Agent.create(task, method, shape, spec.action_dim, s).eval()
    if not isinstance(s, WorldModelSettings):
        return partial(_clone_once, agent, torch.zeros(s.batch_size, *shape, dtype=kind))
    assert agent.reward_model is not None
    experts = s.batch_size if agent.spec.uses_demonstrations else 0
    n = s.batch_size + experts
    seen = torch.zeros(s.horizon + 1, n, *shape, dtype=kind)
    action = torch.zeros(s.horizon, n, spec.action_dim)
    reward = torch.zeros(s.horizon, n, 1) if agent.spec.uses_environment_reward else None
    gamma = derived.discount(spec.episode_length, s)
    learner = Learner(agent.world_model, agent.reward_model, s, gamma, derived.total_updates(s))
    return partial(learner.update, Batch(seen, action, reward, experts))


def _clone_once(agent: Agent, seen: Tensor) -> None:
    """The work of an update of encoder and policy alone, without its optimiser."""
    agent.model.policy.mean(agent.model.encoder(seen)).square().mean().backward()
