"""The kernels of an update and of a plan at the paper's sizes on a CUDA device: how many, how long
it is busy with them, how much of that are matrix products.

Says what the limit is, where `cdred bench` says how fast; captured, then compiled, and how long
that took. scripts/test-cuda runs it. Each line printed is the JSON of what is known so far.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from cdred import methods
from cdred.envs.tasks import find
from cdred.learning.agent import Agent
from cdred.learning.derived import discount
from cdred.learning.device import prepare
from cdred.learning.learner import Learner
from cdred.learning.replay import Batch
from cdred.learning.settings import WorldModelSettings

TIMED, PROFILED = 50, 5  # calls
PRODUCTS = ("gemm", "cutlass", "xmma", "nvjet")  # in the names of kernels that multiply matrices


def operations(
    task: str, method: str, s: WorldModelSettings, device: torch.device
) -> dict[str, Callable[[], Any]]:
    """An update on random data, a plan, and the first plan of five episodes side by side."""
    spec = find(task)
    torch.manual_seed(0)
    agent = Agent.create(task, method, (spec.obs_dim,), spec.action_dim, s).to(device).eval()
    agent.execution = "compiled" if s.compile is True else "captured"
    assert agent.reward_model is not None
    gamma = discount(spec.episode_length, s)
    learner = Learner(agent.world_model, agent.reward_model, s, gamma, 10**6)
    obs = torch.randn(s.horizon + 1, 2 * s.batch_size, spec.obs_dim, device=device)
    action = 2 * torch.rand(s.horizon, 2 * s.batch_size, spec.action_dim, device=device) - 1
    batch = Batch(obs, action, None, s.batch_size)

    def plan(episodes: int) -> None:
        agent.act(np.zeros((episodes, spec.obs_dim), np.float32), explore=episodes == 1)

    def first_of_five() -> None:
        agent.reset()
        plan(5)

    return {
        "update": lambda: learner.update(batch),
        "plan": lambda: plan(1),
        "plan of five": first_of_five,
    }


def kernels(call: Callable[[], Any]) -> dict[str, float]:
    """Kernels of a call, milliseconds that the device is busy with them, and both of products."""
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(PROFILED):
            call()
        torch.cuda.synchronize()
    events = [e for e in found.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    products = [e for e in events if any(word in e.name.lower() for word in PRODUCTS)]
    row: dict[str, float] = {}
    for name, some in (("kernels", events), ("products", products)):
        busy = sum(e.device_time_total for e in some) / PROFILED / 1e3
        row |= {name: len(some) / PROFILED, f"{name}_ms": round(busy, 3)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--task", default="cheetah-run")
    parser.add_argument("--method", default="cdred")
    parser.add_argument("--precision", default="tf32")
    args = parser.parse_args()
    prepare(2)
    device = torch.device(args.device)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    found: dict[str, Any] = {
        "task": args.task, "method": args.method, "precision": args.precision,
    }  # fmt: skip
    for execution, how in (("captured", "captured"), ("compiled", True)):
        s = methods.find(args.method).settings.preset(
            args.preset, precision=args.precision, compile=how, mpc=True
        )
        assert isinstance(s, WorldModelSettings)
        rows = found[execution] = {}
        for name, call in operations(args.task, args.method, s, device).items():
            start = time.monotonic()
            call()
            wait()
            row = rows[name] = {"first_s": round(time.monotonic() - start, 1)}
            print(json.dumps(found), flush=True)
            call()  # captures
            call()
            wait()
            start = time.monotonic()
            for _ in range(TIMED):
                call()
            wait()
            row["ms"] = round(1e3 * (time.monotonic() - start) / TIMED, 3)
            if device.type == "cuda":
                row |= kernels(call)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
