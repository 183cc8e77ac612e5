"""A process that times one checkout's learner for `cdred bench --vs`.

Run by its path, with the checkout first on the module path: it uses only what every version of the
project has. Requests are lines of JSON on standard input: `{"make": [preset, precision, compile,
threads]}` prepares an update and a plan; `{"time": [operation, count]}` makes that many of one.
Answers are lines of JSON: `{}`, `{"error": reason}`, or milliseconds a call, `[ms, cpu_ms]`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

METHOD = "cdred"
TASKS = {"paper": "cheetah-run", "small": "cup-catch"}


def make(preset: str, precision: str, compile_: bool, threads: int) -> dict[str, Callable[[], Any]]:
    """An update of random data, and a plan, at a preset's sizes."""
    import numpy as np
    import torch

    from cdred import methods
    from cdred.envs.tasks import find
    from cdred.learning.agent import Agent
    from cdred.learning.derived import discount
    from cdred.learning.device import prepare
    from cdred.learning.learner import Learner
    from cdred.learning.replay import Batch

    prepare(threads)
    torch.manual_seed(0)
    task, spec = TASKS[preset], find(TASKS[preset])
    settings: Any = methods.find(METHOD).settings
    s = settings.preset(preset, precision=precision, compile=compile_, mpc=True)
    agent: Any = Agent.create(task, METHOD, (spec.obs_dim,), spec.action_dim, s).eval()
    agent.compiled_plans = compile_  # of earlier versions
    agent.execution = "compiled" if compile_ else "eager"
    learner = Learner(
        agent.world_model, agent.reward_model, s, discount(spec.episode_length, s), 10**6
    )
    n = 2 * s.batch_size
    obs = torch.randn(s.horizon + 1, n, spec.obs_dim)
    batch = Batch(obs, torch.rand(s.horizon, n, spec.action_dim) * 2 - 1, None, s.batch_size)
    one = np.zeros((1, spec.obs_dim), np.float32)
    return {"update": partial(learner.update, batch), "plan": partial(agent.act, one, explore=True)}


def timed(call: Callable[[], Any], count: int) -> tuple[float, float]:
    """Milliseconds of a call, by the clock and of all threads' work."""
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    wall, work = time.perf_counter() - start, time.process_time() - cpu
    return 1e3 * wall / count, 1e3 * work / count


def main() -> None:
    calls: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = {}
        try:
            if "make" in request:
                calls = make(*request["make"])
            else:
                operation, count = request["time"]
                answer = timed(calls[operation], count)
        except Exception as exc:
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
