"""The memory that a job needs at the least, against what the machine has.

No part of a job's identity: another machine may do what this one cannot. Estimates are lower
bounds, so that nothing is refused that would run.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.errors import CdredError
from cdred.learning.settings import Settings, WorldModelSettings
from cdred.plan import Job, Plan, Training
from cdred.system.machine import has_nvidia

ENVIRONMENT = 10**6  # bytes; simulators take 5 to 20 MB
WIDTHS = (
    "latent_dim", "encoder_dim", "conv_channels", "mlp_dim", "rnd_dim", "target_dim",
    "predictor_dim",
)  # fmt: skip
WIDE = 2048  # wider than the networks of any paper here
TRAINED = 16  # bytes of a parameter with its gradient and Adam's two moments, float32
CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Need:
    """The bytes of memory that a key of params.yaml asks for, by its value."""

    key: str
    value: int
    size: Callable[[int], int]


@functools.cache
def available(device: str) -> int:
    """The bytes of memory that a job on `device` (of compute) may use: this machine's, or those of
    the control group that limits it, or those of its largest GPU if that has more."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # "max": no limit
        total = min(total, int(CGROUP.read_text(encoding="ascii")))
    if device != "cpu" and has_nvidia():
        import torch

        for k in range(torch.cuda.device_count()):
            total = max(total, torch.cuda.get_device_properties(k).total_memory)
    return total


def check_plan(plan: Plan) -> None:
    """Refuse an experiment with a job that this machine's memory cannot hold.

    Networks that are not very wide are not looked at, which would import torch.
    """
    for job in plan.jobs:
        check(plan, job, only_wide=True)


def check(plan: Plan, job: Job, only_wide: bool = False) -> None:
    """Refuse a job that this machine's memory cannot hold. Raises CdredError with the key of
    params.yaml, and a value of it that would do."""
    having = available(plan.config.compute.device)
    for need in _needs(plan, job, only_wide):
        if (size := need.size(need.value)) <= having:
            continue
        value = need.value
        while value > 1 and need.size(value) > having:
            value //= 2
        raise CdredError(
            f"params.yaml: {need.key}: {need.value} takes {_gigabytes(size)} of memory or more for "
            f"{job.path}, there are {_gigabytes(having)}; {value} would do"
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"


def _needs(plan: Plan, job: Job, only_wide: bool) -> Iterator[Need]:
    config = plan.config
    if job.stage == "evaluate":
        yield _episodes("evaluation.episodes", config.evaluation.episodes)
    elif job.stage == "demos" and job.inputs:
        yield _episodes(f"demos.{job.entry}.episodes", config.demos[job.entry].episodes)
    elif training := plan.training(job):
        (key,) = job.dvc_params
        yield from _training(key, job.task, training, only_wide)


def _episodes(key: str, count: int) -> Need:
    return Need(key, count, lambda count: count * ENVIRONMENT)


def _training(key: str, task: str, training: Training, only_wide: bool) -> Iterator[Need]:
    method, s, obs = training
    yield _episodes(f"{key}.eval_episodes", s.eval_episodes)
    spec = find(task)
    if only_wide and not spec.sized:
        return
    shape = (spec.obs_dim,) if obs == "state" else PIXEL_SHAPE
    row = math.prod(shape) * (1 if obs == "rgb" else 4)  # bytes
    length, activations = 1, row + 4 * (s.latent_dim + s.mlp_dim)
    if isinstance(s, WorldModelSettings):
        step, steps, length = row + 4 * spec.action_dim, s.steps, s.horizon + 1
        yield Need(f"{key}.buffer_size", s.buffer_size, lambda rows: min(rows, steps) * step)
    yield Need(f"{key}.batch_size", s.batch_size, lambda rows: rows * length * activations)
    widths = [name for name in type(s).model_fields if name in WIDTHS]
    name = max(widths, key=lambda name: int(getattr(s, name)))
    if getattr(s, name) > WIDE or not only_wide:
        yield Need(
            f"{key}.{name}",
            getattr(s, name),
            lambda width: _networks(task, method, shape, s.replace(**{name: width})),
        )


def _networks(task: str, method: str, shape: tuple[int, ...], s: Settings) -> int:
    """The bytes of the networks in training. Their tensors have shapes alone: none is made."""
    import torch

    from cdred.learning.agent import Agent
    from cdred.learning.world_model import WorldModel

    action_dim = find(task).action_dim
    networks: torch.nn.Module
    with torch.device("meta"):
        try:
            networks = Agent.create(task, method, shape, action_dim, s)
        except Exception:  # a reward model that looks at the values of its tensors
            if not isinstance(s, WorldModelSettings):
                return 0
            networks = WorldModel(s, shape, action_dim)
    return sum(p.numel() * (TRAINED if p.requires_grad else 4) for p in networks.parameters())
