"""`cdred cost --estimate`: the time an experiment would take at the rates that `cdred bench`
measured.

The matrix work of an update and of a plan is counted for each entry's own sizes, and divided by the
rate at which the benchmarked update and plan got theirs done; the environments' steps come on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from cdred import documents, methods
from cdred.documents import Document
from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.errors import CdredError
from cdred.learning import derived
from cdred.learning.agent import Agent
from cdred.learning.learner import Learner
from cdred.learning.planner import Planner
from cdred.learning.replay import Batch
from cdred.learning.settings import Positive, Settings, WorldModelSettings
from cdred.plan import Job, Plan, Training
from cdred.tools.bench import ENVIRONMENTS
from cdred.tools.counted_work import CountedWork
from cdred.tools.text_table import aligned

HEAD = ("task", "entry", "jobs", "updates", "plans", "hours each", "hours", "replay")
MEGABYTE = 2**20


@dataclass(frozen=True)
class Rates:
    """The rates of one machine: by preset, operation and variant the GFLOP a millisecond; by suite
    the milliseconds of an agent step."""

    gflop_per_ms: dict[tuple[str, str, str], float]
    step_ms: dict[str, float]
    where: str
    device: str  # its type


class _Row(Document):
    preset: str
    operation: str
    variant: str
    ms: Positive
    gflop: Annotated[float, Field(ge=0, le=1e12)] | None


class _Benchmark(Document):
    """The content of the file that `cdred bench --json` writes."""

    machine: str
    device: str
    threads: int
    rows: list[_Row]


def read(path: Path) -> Rates:
    """Read what `cdred bench --json` wrote. Raises CdredError if the file is something else."""
    try:
        measured = documents.read(path, _Benchmark)
    except CdredError as exc:
        raise CdredError(f"{exc}; `cdred bench --json {path}` writes it") from None
    rates = {
        (row.preset, row.operation, row.variant): row.gflop / row.ms
        for row in measured.rows
        if row.gflop
    }
    steps = {row.operation: row.ms for row in measured.rows}
    where = f"{measured.machine}, {measured.device}, {measured.threads} threads"
    by_suite = {
        find(task).suite: steps[f"step of {task}"]
        for task in ENVIRONMENTS
        if f"step of {task}" in steps
    }
    return Rates(rates, by_suite, where, "cpu" if measured.device == "cpu" else "cuda")


def table(plan: Plan, path: Path) -> str:
    """A line per task and entry that is trained, and their sum."""
    rates = read(path)
    groups: dict[tuple[str, str], list[Job]] = {}
    trained: dict[tuple[str, str], Training] = {}
    for job in plan.jobs:
        if training := plan.training(job):
            trained[job.task, job.entry] = training
            groups.setdefault((job.task, job.entry), []).append(job)
    lines, total = [HEAD], 0.0
    counted: dict[tuple[Any, ...], tuple[float, float]] = {}
    for (task, entry), jobs in groups.items():
        method, s, obs = trained[task, entry]
        key = (task, method, s, obs)
        counted[key] = counted.get(key) or work(*key)
        updates, plans = _counts(task, s)
        hours = _hours(rates, task, s, updates * counted[key][0], plans * counted[key][1])
        total += hours * len(jobs)
        spec = find(task)
        row = math.prod(PIXEL_SHAPE) if obs == "rgb" else 4 * spec.obs_dim  # bytes
        rows = s.buffer_size if isinstance(s, WorldModelSettings) else 0
        replay = rows * (row + 4 * spec.action_dim) / MEGABYTE
        lines.append(
            (
                task, entry, str(len(jobs)), f"{updates:,}", f"{plans:,}", f"{hours:.1f}",
                f"{hours * len(jobs):.1f}", f"{replay:.0f} MB" if rows else "",
            )
        )  # fmt: skip
    lines.append(("all", "", str(sum(map(len, groups.values()))), "", "", "", f"{total:.1f}", ""))
    note = "Training alone, at the rates of an otherwise idle machine:"
    numbers = range(2, len(HEAD))
    return "\n".join([f"{note} {rates.where}", *aligned(lines, right=numbers)])


def work(task: str, method: str, s: Settings, obs: str = "state") -> tuple[float, float]:
    """GFLOP of an update, and of a plan for one episode (0 where nothing is planned). Counted on
    tensors that have shapes alone: nothing is computed."""
    spec = find(task)
    shape = (spec.obs_dim,) if obs == "state" else PIXEL_SHAPE
    if not isinstance(s, WorldModelSettings):
        return _work_without_reward(Agent.create(task, method, shape, spec.action_dim, s)), 0.0
    eager = s.replace(compile=False, precision="float32")
    definition = methods.find(method)
    n, experts = s.batch_size, s.batch_size if definition.uses_demonstrations else 0
    agent = Agent.create(task, method, shape, spec.action_dim, eager).to("meta")
    model, reward_model = agent.world_model, agent.reward_model
    assert reward_model is not None
    gamma = derived.discount(spec.episode_length, s)
    with torch.device("meta"):
        seen = torch.zeros(s.horizon + 1, n + experts, *shape)
        action = torch.zeros(s.horizon, n + experts, spec.action_dim)
        reward = torch.zeros(s.horizon, n, 1) if definition.uses_environment_reward else None
        with CountedWork() as update:
            learner = Learner(model, reward_model, eager, gamma, 1)
            loss, zs, _ = learner.world_loss(Batch(seen, action, reward, experts))
            loss.backward()
            torch.autograd.grad(learner.policy_loss(zs.detach())[0], [*model.policy.parameters()])
        with CountedWork() as plan, torch.no_grad():
            if derived.plans(s):
                planner = Planner(model, reward_model, eager, gamma, spec.action_dim)
                z = model.encoder(seen[0, :1])
                planner.plan(z, explore=False)
    return update.flop / 1e9, plan.flop / 1e9


def _work_without_reward(agent: Agent) -> float:
    """GFLOP of an update of encoder and policy alone."""
    model = agent.to("meta").model
    with torch.device("meta"), CountedWork() as update:
        seen = torch.zeros(agent.settings.batch_size, *agent.obs_shape)
        model.policy.mean(model.encoder(seen)).sum().backward()
    return float(update.flop) / 1e9


def _counts(task: str, s: Settings) -> tuple[int, int]:
    """Updates of a training, and plans: an agent step's, and those of the learning curve."""
    if not isinstance(s, WorldModelSettings):
        return s.steps, 0
    length = find(task).episode_length
    points = -(-s.steps // s.eval_every)
    acting = max(s.steps - derived.seed_steps(length, s), 0) if s.mpc else 0
    curve = points * s.eval_episodes * length if derived.plans(s) else 0
    return derived.total_updates(s), acting + curve


def _hours(rates: Rates, task: str, s: Settings, update_gflop: float, plan_gflop: float) -> float:
    preset = "paper" if s.mlp_dim > 128 else "small"
    variants = ["float32"]
    if isinstance(s, WorldModelSettings):
        # A bench without compiling has the eager ones.
        variants = [f"{s.precision} {derived.execution(s, rates.device)}", s.precision]

    def ms(operation: str, gflop: float) -> float:
        for name in variants:
            if (rate := rates.gflop_per_ms.get((preset, operation, name))) is not None:
                return gflop / rate
        raise CdredError(
            f"the benchmark has no {preset} sizes; `cdred bench --sizes {preset} --json FILE` has"
        )

    steps = s.steps + -(-s.steps // s.eval_every) * s.eval_episodes * find(task).episode_length
    stepping = steps * rates.step_ms.get(find(task).suite, 0.0)
    return (ms("update", update_gflop) + ms("plan", plan_gflop) + stepping) / 3.6e6
