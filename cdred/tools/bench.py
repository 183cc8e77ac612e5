"""`cdred bench`: the speed of the learner on this machine, by ratios measured side by side.

Every variant of an operation is timed in turn, round after round, so that what disturbs the
machine disturbs all of them; a figure is the median over the rounds. The floor of an operation is
its matrix work alone, counted from the operation itself, at the rate at which this machine
multiplies matrices in the same rounds.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cdred import methods
from cdred.envs import make
from cdred.envs.episodes import Episode
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning import derived
from cdred.learning.agent import Agent
from cdred.learning.derived import discount
from cdred.learning.device import device_name, prepare, select
from cdred.learning.graph import tensor_float32
from cdred.learning.learner import Learner
from cdred.learning.online_trainer import demonstration_replay
from cdred.learning.replay import Replay, join
from cdred.learning.settings import WorldModelSettings
from cdred.suites import Task
from cdred.system import machine
from cdred.tools.counted_work import CountedWork
from cdred.tools.text_table import aligned

METHOD = "cdred"  # is timed
TASKS = {"paper": "cheetah-run", "small": "cup-catch"}  # whose sizes each preset is timed at
ENVIRONMENTS = ("cup-catch", "mw-reach", "lift-cube")  # one of each suite
MATRICES = (1536, 512, 512)  # those of an update at the paper's sizes
LEAST = 0.2  # seconds that a variant is repeated for in a round
Precision = Literal["float32", "tf32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")
WARM_UP = 3.0  # seconds


@dataclass
class Row:
    """Median milliseconds of one `operation` in one `variant`, of the clock and (`cpu_ms`) of all
    threads' work. `ratio`: how many times faster than float32, eager. `gflop`: its matrix work;
    `gflops`: of matrix products a second, beside it. `floor_ratio`: how many times the floor."""

    preset: str
    operation: str
    variant: str
    ms: float
    cpu_ms: float
    ratio: float | None = None
    gflop: float | None = None
    gflops: float | None = None
    floor_ratio: float | None = None


HEAD = (
    "sizes", "operation", "variant", "ms", "CPU ms", "speed-up", "GFLOP/s", "times its floor",
)  # fmt: skip


class Variant(NamedTuple):
    """The settings of speed that an update or a plan is timed with."""

    precision: Precision
    execution: derived.Execution = "eager"

    @property
    def name(self) -> str:
        return self.precision if self.execution == "eager" else f"{self.precision} {self.execution}"


EAGER = Variant("float32")


def variants(execution: derived.Execution, device: torch.device) -> list[Variant]:
    """Those of one execution that a device has; `tf32` is of CUDA alone."""
    on_cuda = device.type == "cuda"
    if execution == "captured" and not on_cuda:
        return []  # the eager ones
    return [Variant(p, execution) for p in PRECISIONS if on_cuda or p != "tf32"]


def run(
    presets: Iterable[str], threads: int, device: str, rounds: int, compiled: bool,
    say: Callable[[str], None], seconds: float = math.inf, path: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Time everything and return it as plain data; `say` is told what is under way.

    What is measured is written to `path` as it comes, and after `seconds` no other measurement is
    begun. What takes longest, compiling, comes last.
    """
    prepare(threads)
    chosen = select(device, machine.take_gpu)
    warm_up(chosen)
    presets, end = list(presets), time.monotonic() + seconds
    results: dict[str, Any] = {
        "machine": machine.name(), "device": device_name(chosen), "threads": threads,
        "torch": torch.__version__, "rounds": rounds, "peak_memory_mb": {}, "rows": [],
    }  # fmt: skip
    for operation in _operations(presets, compiled, chosen, rounds, results["peak_memory_mb"], say):
        _keep(results, operation, path)
        if time.monotonic() > end:
            say(f"stopped after {seconds:.0f} s with what is there")
            break
    return results


def _operations(
    presets: list[str], compiled: bool, device: torch.device, rounds: int,
    memory: dict[str, int], say: Callable[[str], None],
) -> Iterator[list[Row]]:  # fmt: skip
    """The rows of one operation after the other."""
    for preset in presets:
        say(f"{preset} sizes")
        chosen = [*variants("eager", device), *variants("captured", device)]
        yield from learner(preset, chosen, device, rounds, memory)
        say(f"{preset} sizes: acting, sampling")
        yield beside(preset, device, rounds)
    say("environments")
    yield environments(rounds)
    for preset in presets if compiled else []:
        say(f"{preset} sizes, compiling")
        yield from learner(preset, [EAGER, *variants("compiled", device)], device, rounds, memory)


def _keep(results: dict[str, Any], rows: list[Row], path: Path | None) -> None:
    known = {(row["preset"], row["operation"], row["variant"]) for row in results["rows"]}
    new = [row for row in rows if (row.preset, row.operation, row.variant) not in known]
    results["rows"] += [asdict(row) for row in new]
    if path is not None:
        write(results, path)


def matrix_products(precision: Precision, device: torch.device, count: int) -> Callable[[], Any]:
    """So many of the paper's sizes. On CUDA launched at once: one by one, launching them is what
    would be timed."""
    m, k, n = MATRICES
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a = torch.randn(m, k, dtype=dtype, device=device)
    b = torch.randn(k, n, dtype=dtype, device=device)
    s = WorldModelSettings.model_construct(precision=precision)

    def products() -> Tensor:
        with tensor_float32(s, device):
            for _ in range(count):
                c = a @ b
        return c

    if device.type != "cuda":
        return products
    products()  # loads the library, which must not be captured
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        products()
    return graph.replay


class Time(NamedTuple):
    """Milliseconds of one call, by the clock and of all threads' work."""

    ms: float
    cpu_ms: float


def side_by_side(calls: list[Callable[[], Any]], device: torch.device, rounds: int) -> list[Time]:
    """Medians of each call, timed in turn `rounds` times; first once to warm up."""
    times: list[list[Time]] = [[] for _ in calls]
    counts = []
    for call in calls:
        call()  # compiles
        call()  # captures
        counts.append(max(1, round(1e3 * LEAST / timed(call, 1, device).ms)))
    for _ in range(rounds):
        for call, count, measured in zip(calls, counts, times, strict=True):
            measured.append(timed(call, count, device))
    return [Time(*map(statistics.median, zip(*measured, strict=True))) for measured in times]


def timed(call: Callable[[], Any], count: int, device: torch.device) -> Time:
    """The mean time of `count` calls."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    wait()
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    wait()
    return Time(
        1e3 * (time.perf_counter() - start) / count, 1e3 * (time.process_time() - cpu) / count
    )


def warm_up(device: torch.device) -> None:
    """Multiply matrices until the processor's clock has settled and libraries are loaded."""
    products, end = matrix_products("float32", device, 10), time.monotonic() + WARM_UP
    while time.monotonic() < end:
        timed(products, 1, device)


def learner(
    preset: str, chosen: list[Variant], device: torch.device, rounds: int,
    memory: dict[str, int],
) -> Iterator[list[Row]]:  # fmt: skip
    """Update, then plan, of CDRED. Enters into `memory` the peak so far with a full replay of the
    preset's size, in MB: of the device, or of this process (which remembers it: then of the first
    sizes alone)."""
    task, settings = TASKS[preset], _settings(preset)
    spec = find(task)
    replay, expert = _replays(settings, spec, device)
    obs = np.zeros((1, spec.obs_dim), np.float32)

    updates: list[Callable[[], Any]] = []
    plans: list[Callable[[], Any]] = []
    for precision, execution in chosen:
        how: Any = {"eager": False, "compiled": True}.get(execution, execution)
        s = settings.replace(precision=precision, compile=how, mpc=True)
        torch.manual_seed(0)
        agent = Agent.create(task, METHOD, (spec.obs_dim,), spec.action_dim, s).to(device).eval()
        assert agent.reward_model is not None
        gamma = discount(spec.episode_length, s)
        own = Learner(agent.world_model, agent.reward_model, s, gamma, 10**6)
        batch = join(expert.sample(s.batch_size), replay.sample(s.batch_size))
        agent.execution = execution
        updates.append(partial(own.update, batch))
        plans.append(partial(agent.act, obs, explore=True))
    count = 100 if device.type == "cuda" else 1
    products = {
        p: matrix_products(p, device, count) for p in dict.fromkeys(v.precision for v in chosen)
    }
    work_of_products = 2 * count * math.prod(MATRICES)  # floating point operations
    updates[0]()
    plans[0]()
    if device.type == "cuda" or not memory:
        memory.setdefault(preset, _peak_memory(device))
    for operation, calls in (("update", updates), ("plan", plans)):
        with CountedWork() as work:
            calls[0]()
        times = side_by_side([*calls, *products.values()], device, rounds)
        rates = {
            p: work_of_products / t.ms / 1e6
            for p, t in zip(products, times[len(calls) :], strict=True)
        }
        rows = []
        for variant, (ms, cpu_ms) in zip(chosen, times[: len(calls)], strict=True):
            rate, ratio = rates[variant.precision], times[0].ms / ms
            floor = work.flop / 1e6 / rate
            gflop = work.flop / 1e9
            name = variant.name
            rows.append(Row(preset, operation, name, ms, cpu_ms, ratio, gflop, rate, ms / floor))
        yield rows


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def beside(preset: str, device: torch.device, rounds: int) -> list[Row]:
    """Acting by the policy, and drawing a batch of both streams."""
    task, settings = TASKS[preset], _settings(preset).replace(mpc=False)
    spec = find(task)
    replay, expert = _replays(settings, spec, device)
    obs = np.zeros((1, spec.obs_dim), np.float32)
    acting = Agent.create(task, METHOD, (spec.obs_dim,), spec.action_dim, settings).to(device)
    size = settings.batch_size
    others: dict[str, Callable[[], Any]] = {
        "act by the policy": partial(acting.act, obs, explore=True),
        "sample both streams": lambda: join(expert.sample(size), replay.sample(size)),
    }
    times = side_by_side([*others.values()], device, rounds)
    return [Row(preset, name, "float32", *time) for name, time in zip(others, times, strict=True)]


def _settings(preset: str) -> WorldModelSettings:
    settings = methods.find(METHOD).settings.preset(preset)
    assert isinstance(settings, WorldModelSettings)
    return settings


def _replays(s: WorldModelSettings, spec: Task, device: torch.device) -> tuple[Replay, Replay]:
    """A replay full of random episodes, and demonstrations, ten of them."""
    generator = np.random.default_rng(0)
    obs_dim, action_dim, length = spec.obs_dim, spec.action_dim, spec.episode_length

    def episode() -> Episode:
        return Episode(
            generator.normal(size=(length + 1, obs_dim)).astype(np.float32),
            generator.uniform(-1, 1, (length, action_dim)).astype(np.float32),
            np.zeros(length, np.float32), None, 0,
        )  # fmt: skip

    replay = Replay(s.buffer_size, (obs_dim,), action_dim, s.horizon, False, device)
    for _ in range(s.buffer_size // (length + 1)):
        one = episode()
        replay.add(torch.from_numpy(one.obs), torch.from_numpy(one.action))
    demonstrations = [episode() for _ in range(10)]
    return replay, demonstration_replay(demonstrations, s, [obs_dim], action_dim, device)


def environments(rounds: int) -> list[Row]:
    """An agent step, action repeat and resets included, in a task of each suite that runs here."""
    rows = []
    for task in ENVIRONMENTS:
        with contextlib.suppress(CdredError), contextlib.closing(make(task, seed=0)) as env:
            env.reset()
            (time,) = side_by_side([partial(_step, env)], torch.device("cpu"), rounds)
            rows.append(Row("", f"step of {task}", "", *time))
    return rows


def _step(env: Any) -> None:
    *_, truncated, _ = env.step(env.action_space.sample())
    if truncated:
        env.reset()


def table(results: dict[str, Any]) -> str:
    """The result of `run` as text."""
    lines = [
        f"{results['machine']}, {results['device']}, {results['threads']} threads, "
        f"torch {results['torch']}",
        f"GFLOP/s: of matrix products ({' x '.join(map(str, MATRICES))}) beside the operation",
    ]
    lines += [
        f"peak memory, {preset} sizes, eager, replay full: {mb} MB"
        for preset, mb in results["peak_memory_mb"].items()
    ]
    cells = [HEAD]
    for row in results["rows"]:
        cells.append(
            (
                row["preset"], row["operation"], row["variant"], f"{row['ms']:.4g}",
                f"{row['cpu_ms']:.4g}",
                "" if row["ratio"] is None else f"{row['ratio']:.2f}",
                "" if row["gflops"] is None else f"{row['gflops']:.0f}",
                "" if row["floor_ratio"] is None else f"{row['floor_ratio']:.2f}",
            )
        )  # fmt: skip
    return "\n".join([*lines, *aligned(cells)])


def write(results: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
