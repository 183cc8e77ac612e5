"""The learner on a device against float64 on the CPU, and what of it repeats to the bit.

`pytest -m cuda --device cuda` on a machine with one (scripts/test-cuda runs it); without `--device`
the same checks run on the CPU, so that they are fit when a GPU is at hand. On the CPU all of it
repeats to the bit, and is asserted to; of a GPU that is measured, and entered into the file that
`--measurements` names.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import cdred
from cdred import methods
from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.learning.agent import Agent
from cdred.learning.derived import Execution
from cdred.learning.learner import Learner
from cdred.learning.monitor import Monitor
from cdred.learning.online_trainer import demonstration_replay
from cdred.learning.replay import Batch, Replay, join
from cdred.learning.settings import Settings
from cdred.learning.train import train as train_agent
from cdred.methods.bc.trainer import CloningTrainer
from cdred.methods.cdred.settings import CdredSettings

pytestmark = pytest.mark.cuda

Measure = Callable[[str, float], None]
TASK = "cartpole-balance"
METHODS = methods.folders()
# No dropout, whose mask depends on rounding; five Q, so that two are drawn; planning.
SIZES: dict[str, Any] = {
    "batch_size": 32, "steps": 540, "eval_every": 540, "eval_episodes": 1, "log_every": 10,
}  # fmt: skip
ONLINE: dict[str, Any] = {
    "num_q": 5, "seed_steps": 500, "updates_per_step": 0.1, "mpc": True, "plan_samples": 64,
    "plan_iterations": 3, "plan_policy_samples": 8, "plan_elites": 8,
}  # fmt: skip
UPDATES = 3


def settings(method: str, **changes: Any) -> Any:
    """Those that suit a method; one that cannot plan learns without a model."""
    definition, values = methods.find(method), dict(SIZES)
    if definition.interacts:
        values["compile"] = False
        values |= ONLINE if definition.plans else ONLINE | {"model_free": True, "mpc": False}
    return definition.settings.preset("small", **values | changes)


class SharedDraws(TorchFunctionMode):
    """Random numbers from one generator of the CPU, whatever device and precision asks for them,
    so that two computations differ by rounding alone. With `exact`, `.float()` keeps float64."""

    def __init__(self, exact: bool) -> None:
        super().__init__()
        self.exact, self.generator = exact, torch.Generator().manual_seed(0)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        options = dict(kwargs or {})
        g = {"generator": self.generator, "dtype": torch.float32}
        if function in (torch.randn_like, torch.rand_like):
            x, kind = args[0], function
            draw = torch.randn if kind is torch.randn_like else torch.rand
            return draw(x.shape, **g).to(x.device, x.dtype)
        if function in (torch.randn, torch.rand):
            drawn = function(*args, **g)
            return drawn.to(options.get("device", "cpu"), torch.get_default_dtype())
        if function in (torch.randint, torch.randperm):
            drawn = function(*args, generator=self.generator)
            return drawn.to(options.get("device", "cpu"))
        if function is torch.multinomial:  # by the inverse of the distribution function
            weights = args[0].double().cpu()
            drawn = torch.rand(len(weights), 1, **g).double() * weights.sum(1, keepdim=True)
            return (weights.cumsum(1) < drawn).sum(1, keepdim=True).to(args[0].device)
        if function is torch.Tensor.float and self.exact:
            return args[0].double()
        return function(*args, **options)


@contextlib.contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def matrix_rounding(tf32: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def episodes(shape: tuple[int, ...], action_dim: int, count: int = 2) -> list[Episode]:
    rng = np.random.default_rng(0)
    pixels = len(shape) == 3
    return [
        Episode(
            rng.integers(0, 256, (21, *shape), np.uint8)
            if pixels
            else rng.normal(size=(21, *shape)).astype(np.float32),
            rng.uniform(-1, 1, (20, action_dim)).astype(np.float32),
            rng.uniform(0, 1, 20).astype(np.float32), None, k,
        )
        for k in range(count)
    ]  # fmt: skip


def batches(s: Any, shape: tuple[int, ...], method: str) -> list[Batch]:
    """One batch for each update, the same for every device."""
    options: dict[str, Any] = {
        "generator": torch.Generator().manual_seed(1), "dtype": torch.float32,
    }  # fmt: skip
    experts = s.batch_size if methods.find(method).uses_demonstrations else 0
    n, made = s.batch_size + experts, []
    for _ in range(UPDATES):
        if len(shape) == 3:
            obs = torch.randint(
                0, 256, (s.horizon + 1, n, *shape), generator=options["generator"]
            ).byte()
        else:
            obs = torch.randn(s.horizon + 1, n, *shape, **options)
        action = 2 * torch.rand(s.horizon, n, action_dim(shape), **options) - 1
        reward = None if experts else torch.rand(s.horizon, n, 1, **options)
        made.append(Batch(obs, action, reward, experts))
    return made


def action_dim(shape: tuple[int, ...]) -> int:
    return 4 if len(shape) == 3 else 1


class Trace:
    """The traces of some updates: losses of each, gradients of each (their running means, where
    Adam has them), parameters at the end."""

    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []
        self.gradients: list[Tensor] = []
        self.parameters = self.start = torch.zeros(0)


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.detach().double().cpu().flatten() for t in tensors])


def to(batch: Batch, device: torch.device) -> Batch:
    kind = torch.get_default_dtype()
    obs = batch.obs if batch.obs.dtype == torch.uint8 else batch.obs.to(kind)
    reward = None if batch.reward is None else batch.reward.to(device, kind)
    return Batch(obs.to(device), batch.action.to(device, kind), reward, batch.num_expert)


def learned(
    method: str, device: torch.device, s: Any, shape: tuple[int, ...] = (5,),
    exact: bool = False,
) -> Trace:  # fmt: skip
    """Some updates on the same batches from the same weights. Random numbers are shared as
    well, unless the learner is compiled: then its own."""
    torch.manual_seed(0)
    agent = Agent.create(TASK, method, shape, action_dim(shape), s).to(device)
    trace = Trace()
    compiled = getattr(s, "compile", False) is not False
    draws = contextlib.nullcontext() if compiled else SharedDraws(exact)
    with float64() if exact else contextlib.nullcontext():
        if exact:
            agent = agent.double()
        trained = [p for p in agent.parameters() if p.requires_grad]
        trace.start = flat(trained)
        update, gradients = updates(agent, method, s, shape, device)
        torch.manual_seed(1)
        with draws:
            for k in range(UPDATES):
                losses = update(k)
                trace.losses.append({n: v.item() for n, v in losses.items() if "loss" in n})
                trace.gradients.append(flat(gradients()))
    trace.parameters = flat(trained)
    return trace


def updates(
    agent: Agent, method: str, s: Any, shape: tuple[int, ...], device: torch.device
) -> tuple[Callable[[int], dict[str, Tensor]], Callable[[], list[Tensor]]]:
    if not methods.find(method).interacts:
        with pytest.MonkeyPatch.context() as patch:  # no simulator, which needs OpenGL for pixels
            patch.setattr("cdred.learning.trainer.Evaluator", lambda *_: None)
            trainer = CloningTrainer(agent, s, 0, episodes(shape, action_dim(shape)), Monitor())
        kind = torch.get_default_dtype()
        if len(shape) == 1:
            trainer.obs = trainer.obs.to(kind)
        trainer.action = trainer.action.to(kind)

        def advance(k: int) -> dict[str, Tensor]:
            trainer.advance()
            return dict(zip(trainer.log.names, trainer.log.pending[-1], strict=True))

        return advance, lambda: [p.grad for p in agent.parameters() if p.grad is not None]
    learner = Learner(agent.world_model, agent.reward_model, s, 0.99, 100)  # type: ignore[arg-type]
    streams = [
        demonstration_replay(episodes(shape, action_dim(shape), k), s, [*shape],
                             action_dim(shape), device)
        for k in (1, 2)
    ]  # fmt: skip
    if len(shape) == 1:
        for replay in streams:
            replay.obs, replay.action = (
                replay.obs.to(torch.get_default_dtype()),
                replay.action.to(torch.get_default_dtype()),
            )
    agent.reward_model.prepare(*streams)  # type: ignore[union-attr]
    made = batches(s, shape, method)
    means = [optimizer.mean for optimizer in learner.optimizers.values()]
    return lambda k: learner.update(to(made[k], device)), lambda: means


def distance(a: Tensor, b: Tensor) -> float:
    """Relative to b, in the Euclidean norm."""
    return ((a - b).norm() / b.norm().clamp(min=1e-12)).item()


def compare(found: Trace, expected: Trace, name: str, measure: Measure) -> dict[str, float]:
    """The largest relative differences: of losses, gradients, and of what parameters moved by."""
    losses = [
        abs(row[n] - want[n]) / max(abs(want[n]), 1e-3)
        for row, want in zip(found.losses, expected.losses, strict=True)
        for n in want
    ]
    gradients = [distance(a, b) for a, b in zip(found.gradients, expected.gradients, strict=True)]
    result = {
        "losses": max(losses), "gradients": max(gradients),
        "parameters": distance(found.parameters - found.start, expected.parameters - expected.start),
    }  # fmt: skip
    for what, value in result.items():
        measure(f"{name}: {what}, relative difference", value)
    return result


REFERENCE: dict[tuple, Trace] = {}


def reference(method: str, s: Any, shape: tuple[int, ...] = (5,)) -> Trace:
    key = (method, s, shape)
    if key not in REFERENCE:
        REFERENCE[key] = learned(method, torch.device("cpu"), s, shape, exact=True)
    return REFERENCE[key]


# ---- updates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_updates_are_those_of_float64(method: str, device: torch.device, measure: Measure) -> None:
    with matrix_rounding(tf32=False):
        trace = learned(method, device, settings(method))
    found = compare(trace, reference(method, settings(method)), f"{method} float32", measure)
    assert found["losses"] < 1e-4 and found["gradients"] < 1e-4 and found["parameters"] < 1e-2


@pytest.mark.parametrize("rounding", ["tf32", "bfloat16"])
@pytest.mark.parametrize("method", ["true_reward", "cdred", "iqmpc"])
def test_coarser_products_round_and_nothing_else(
    method: str, rounding: str, device: torch.device, measure: Measure
) -> None:
    exact = settings(method)
    s = exact if rounding == "tf32" else exact.replace(precision="bfloat16")
    with matrix_rounding(rounding == "tf32"):
        trace = learned(method, device, s)
    found = compare(trace, reference(method, exact), f"{method} {rounding}", measure)
    # Later updates start from other weights: the first loss tells.
    first, want = trace.losses[0], reference(method, exact).losses[0]
    assert first["total_loss"] == pytest.approx(want["total_loss"], rel=0.05)
    assert found["parameters"] < 0.5  # no step leads elsewhere


@pytest.mark.parametrize("method", ["cdred", "bc"])
def test_pixels(method: str, device: torch.device, measure: Measure) -> None:
    s = settings(method, batch_size=4, conv_channels=4)
    with matrix_rounding(tf32=False):
        trace = learned(method, device, s, PIXEL_SHAPE)
    expected = reference(method, s, PIXEL_SHAPE)
    found = compare(trace, expected, f"{method} from pixels", measure)
    assert found["losses"] < 1e-3 and found["gradients"] < 2e-2


# ---- acting, saving -----------------------------------------------------------------------------


def acted(method: str, device: torch.device, s: Settings, exact: bool) -> np.ndarray:
    """Two steps of three episodes side by side, the second plan from the first."""
    torch.manual_seed(0)
    agent = Agent.create(TASK, method, (5,), 1, s).eval()
    for parameter in agent.parameters():  # the last layers of reward and Q are zero: all plans tie
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    rng = np.random.default_rng(2)
    obs = rng.normal(size=(2, 3, 5)).astype(np.float64 if exact else np.float32)
    with float64() if exact else contextlib.nullcontext(), SharedDraws(exact):
        agent = (agent.double() if exact else agent).to(device)
        agent.execution = "eager"  # whose random numbers can be shared
        return np.stack([agent.act(o, explore=True) for o in obs])


@pytest.mark.parametrize("method", ["true_reward", "cdred", "iqmpc"])
def test_plans_are_those_of_float64(method: str, device: torch.device, measure: Measure) -> None:
    with matrix_rounding(tf32=False):
        found = acted(method, device, settings(method), exact=False)
    expected = acted(method, torch.device("cpu"), settings(method), exact=True)
    error = float(np.abs(found - expected).max())
    measure(f"{method}: plan, largest difference of an action", error)
    assert error < 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_the_policy_acts_alike_everywhere(
    method: str, device: torch.device, measure: Measure
) -> None:
    s = settings(method)
    if methods.find(method).interacts:
        s = s.replace(mpc=False)
    with matrix_rounding(tf32=False):
        found = acted(method, device, s, exact=False)
    error = float(np.abs(found - acted(method, torch.device("cpu"), s, exact=True)).max())
    measure(f"{method}: policy, largest difference of an action", error)
    assert error < 1e-4


def test_an_agent_saved_on_one_device_is_the_same_on_another(
    device: torch.device, tmp_path: Path
) -> None:
    agent = Agent.create(TASK, "cdred", (5,), 1, settings("cdred")).to(device).eval()
    agent.save(tmp_path)
    loaded = cdred.Agent.from_pretrained(tmp_path)
    assert loaded.device.type == "cpu"
    moved = loaded.to(device).state_dict()
    assert all(torch.equal(value, moved[name]) for name, value in agent.state_dict().items())
    obs = np.ones((2, 5), np.float32)
    for one in (agent, loaded):
        one.reset()
    torch.manual_seed(0)
    first = agent.act(obs)
    torch.manual_seed(0)
    np.testing.assert_array_equal(first, loaded.act(obs))


# ---- memory -------------------------------------------------------------------------------------


def test_memory_and_time_at_the_papers_sizes(device: torch.device, measure: Measure) -> None:
    if device.type == "cpu":
        pytest.skip("takes minutes without a GPU; cdred bench measures it")
    s, spec = CdredSettings(compile="captured"), find("humanoid-walk")
    agent = Agent.create("humanoid-walk", "cdred", (spec.obs_dim,), spec.action_dim, s).to(device)
    learner = Learner(agent.world_model, agent.reward_model, s, 0.99, 10**6)  # type: ignore[arg-type]
    replay = Replay(s.buffer_size, (spec.obs_dim,), spec.action_dim, s.horizon, False, device)
    for _ in range(s.buffer_size // 501):
        replay.add(torch.randn(501, spec.obs_dim), 2 * torch.rand(500, spec.action_dim) - 1)
    start = time.monotonic()
    for _ in range(10):
        one, other = replay.sample(s.batch_size), replay.sample(s.batch_size)
        obs, action = (
            torch.cat([getattr(b, n) for b in (one, other)], 1) for n in ("obs", "action")
        )
        learner.update(Batch(obs, action, None, s.batch_size))
    agent.eval().act(np.zeros((1, spec.obs_dim), np.float32), explore=True)
    torch.cuda.synchronize()
    measure("humanoid-walk, paper's sizes: ten updates and a plan, s", time.monotonic() - start)
    peak = torch.cuda.max_memory_allocated() / 2**20
    measure("humanoid-walk, paper's sizes: peak memory of the device, MB", peak)
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    measure("humanoid-walk, paper's sizes: peak memory of the process, MB", host)
    assert peak < 8192


# ---- captured ------------------------------------------------------------------------------------


@pytest.mark.with_device
def test_updates_and_plans_do_not_wait_for_the_device(device: torch.device) -> None:
    if device.type == "cpu":
        pytest.skip("a CPU computes while it is called")
    s = settings("cdred", compile="captured")
    agent = Agent.create(TASK, "cdred", (5,), 1, s).eval().to(device)
    agent.execution = "captured"
    learner = Learner(agent.world_model, agent.reward_model, s, 0.99, 100)  # type: ignore[arg-type]
    expert, own = (demonstration_replay(episodes((5,), 1), s, [5], 1, device) for _ in range(2))
    z = agent.world_model.encoder(torch.randn(1, 5, device=device)).detach()

    def step() -> None:
        agent.planner.plan(z, explore=True)
        learner.step(join(expert.sample(s.batch_size), own.sample(s.batch_size)))

    for _ in range(3):  # the first two capture
        step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


HOW = {"captured": "captured", "compiled": True}


@pytest.mark.with_device
def test_the_captured_update_is_the_eager_one(device: torch.device, measure: Measure) -> None:
    check_update("captured", device, measure)


def check_update(execution: str, device: torch.device, measure: Measure) -> None:
    """On its own random numbers, which are the same eager and compiled."""
    with matrix_rounding(tf32=False):
        compiled = learned("cdred", device, settings("cdred", compile=HOW[execution]))
        draws, SharedDraws.__torch_function__ = SharedDraws.__torch_function__, plain
        try:
            eager = learned("cdred", device, settings("cdred"))
        finally:
            SharedDraws.__torch_function__ = draws  # type: ignore[method-assign]
    found = compare(compiled, eager, f"cdred {execution} against eager", measure)
    assert found["losses"] < 1e-3 and found["gradients"] < 1e-2


@pytest.mark.with_device
def test_the_captured_plan_is_the_eager_one(device: torch.device, measure: Measure) -> None:
    check_plan("captured", device, measure)


def check_plan(execution: Execution, device: torch.device, measure: Measure) -> None:
    s = settings("cdred", plan_iterations=1)
    plans: dict[Execution, np.ndarray] = {}
    obs = np.random.default_rng(2).normal(size=(4, 3, 5)).astype(np.float32)
    for how in ("eager", execution):
        torch.manual_seed(0)
        agent = Agent.create(TASK, "cdred", (5,), 1, s).eval().to(device)
        agent.execution = how
        plans[how] = np.stack([agent.act(o, explore=True) for o in obs])
    error = float(np.abs(plans[execution] - plans["eager"]).max())
    measure(f"cdred: plan, {execution} against eager, largest difference of an action", error)
    assert error < 1e-3


def plain(self: Any, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    return function(*args, **(kwargs or {}))


# ---- compiled ------------------------------------------------------------------------------------


@pytest.mark.with_device
def test_the_compiled_update_is_the_eager_one(device: torch.device, measure: Measure) -> None:
    check_update("compiled", device, measure)


@pytest.mark.with_device
def test_the_compiled_plan_is_the_eager_one(device: torch.device, measure: Measure) -> None:
    from torch._inductor.fx_passes import post_grad

    if not hasattr(post_grad, "_chain_random_ops_for_ordering"):
        pytest.skip("the compiler of this torch reorders random calls: pytorch#181136")
    check_plan("compiled", device, measure)


# ---- repeating ----------------------------------------------------------------------------------


class StoppedError(Exception):
    """The process is gone."""


class Kept(Monitor):
    """Keeps the state of one step, and stops there the first time."""

    def __init__(self, at: int = -1) -> None:
        self.at, self.steps, self.state = at, 0, None

    def saved(self) -> dict[str, Any] | None:
        return self.state

    def save_state(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        self.steps += 1
        if self.steps == self.at and self.state is None:
            file = Path(str(self.at))
            torch.save(state(), file)  # as a killed process leaves it, for the CPU to read
            self.state = torch.load(file, map_location="cpu", weights_only=True)
            raise StoppedError


@pytest.mark.with_device
@pytest.mark.parametrize("method", sorted(METHODS, key=lambda name: name != "cdred"))
def test_repeating_and_resuming(
    method: str, device: torch.device, measure: Measure, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    s = settings(method)
    if methods.find(method).interacts:
        s = s.replace(mpc=method == "cdred", plan_samples=16, plan_iterations=1, compile="captured")

    def train(monitor: Monitor) -> Tensor:
        demonstrations = episodes((5,), 1) if methods.find(method).uses_demonstrations else []
        agent, _ = train_agent(TASK, method, s, 3, demonstrations, device, monitor)
        return flat(list(agent.state_dict().values()))

    once, again = train(Monitor()), train(Monitor())
    monitor = Kept(at=530)
    with pytest.raises(StoppedError):
        train(monitor)
    resumed = train(monitor)
    repeats, resumes = distance(again, once), distance(resumed, once)
    measure(f"{method}: two runs of one seed, relative difference of weights", repeats)
    measure(f"{method}: resumed against not stopped, relative difference of weights", resumes)
    if device.type == "cpu":
        assert repeats == resumes == 0.0
    assert repeats < 0.5 and resumes < 0.5
