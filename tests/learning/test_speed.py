"""The options for speed: what each may change of the float32, eager result, and `cdred bench`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._inductor
from support.learning import TASK, demonstrations, toy, weights
from support.project import CHECKOUT

from cdred import methods
from cdred.cli import main
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning import derived, graph
from cdred.learning.agent import Agent
from cdred.learning.learner import Learner
from cdred.learning.monitor import Monitor
from cdred.learning.replay import Batch
from cdred.learning.train import train as train_agent
from cdred.suites import not_installed
from cdred.tools import bench_pair
from cdred.tools.bench import ENVIRONMENTS

# Five members, so that two are drawn; dropout, as the paper has it; planning.
OPTIONS: dict[str, Any] = {
    "num_q": 5, "dropout": 0.01, "mpc": True, "plan_samples": 32, "plan_iterations": 3,
    "plan_policy_samples": 4, "plan_elites": 8,
}  # fmt: skip
WITH_REWARDS = sorted(m.name for m in methods.built_in() if m.reward_model)
UNLIKE = ("cdred", "cfil", "gail", "iqmpc", "true_reward")  # one of each kind of reward
# What an update computes from the weights alone, before rounding had time to build up.
LOSSES = ("consistency_loss", "reward_loss", "value_loss", "policy_loss", "total_loss")


def plans(method: str) -> bool:
    return methods.find(method).plans and not toy(method).model_free


def learned(
    updates: int = 4, method: str = "cdred", **changes: Any
) -> tuple[list[dict[str, float]], np.ndarray]:
    """The metrics of some updates on one batch, and the plan from four observations after them."""
    s = toy(method, **OPTIONS | {"mpc": plans(method)} | changes)
    torch.manual_seed(0)
    agent = Agent.create(TASK, method, (5,), 1, s)
    agent.execution = derived.execution(s)
    own = Learner(agent.world_model, agent.reward_model, s, 0.99, 100)  # type: ignore[arg-type]
    n = 2 * s.batch_size
    obs, action = torch.randn(s.horizon + 1, n, 5), torch.rand(s.horizon, n, 1) * 2 - 1
    rewarded = methods.find(method).uses_environment_reward
    batch = Batch(obs, action, torch.rand(s.horizon, n, 1) if rewarded else None, s.batch_size)
    torch.manual_seed(1)
    rows = [own.update(batch) for _ in range(updates)]
    plan = agent.eval().act(np.ones((4, 5), np.float32))
    return [{name: value.item() for name, value in row.items()} for row in rows], plan


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    for row, wanted in zip(found[0], expected[0], strict=True):
        for name in LOSSES:
            assert row[name] == pytest.approx(wanted[name], rel=tolerance, abs=tolerance), name


def test_bfloat16_rounds_matrix_products_alone() -> None:
    exact, rounded = learned(), learned(precision="bfloat16")
    assert_close(rounded, exact, 0.02)
    assert rounded[0][0]["total_loss"] != exact[0][0]["total_loss"]
    s = toy(**OPTIONS, precision="bfloat16")
    agent = Agent.create(TASK, "cdred", (5,), 1, s)
    with graph.matrix_precision(s, torch.device("cpu")):
        z = agent.model.encoder(torch.randn(3, 5))
        action, entropy = agent.model.policy.sample(z)
        found = [
            z,
            action,
            entropy,
            agent.world_model.q_logits(z, action),
            agent.reward_model(z, action),
        ]  # type: ignore[operator, misc]
    assert {tensor.dtype for tensor in found} == {torch.float32}


class Recorded:
    """Stands for the compiler: keeps what it is given, and runs that as it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs: list[torch.fx.GraphModule] = []
        monkeypatch.setattr(torch._inductor, "compile", self.compile)

    def compile(
        self, program: torch.fx.GraphModule, tensors: Any, options: Any
    ) -> torch.fx.GraphModule:
        self.programs.append(program)
        return program


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        *(pytest.param(m, {}, marks=[] if m in UNLIKE else [pytest.mark.slow])
          for m in WITH_REWARDS),
        ("iqmpc", {"gradient_penalty": 1.0, "mpc": False}),
    ],
)  # fmt: skip
def test_update_and_plan_are_one_program_each(
    method: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in them leaves the program (a host sync, a loop over samples): gradients and their
    penalties, random numbers, optimisers and statistics are all in it."""
    expected = learned(method=method, **changes)
    recorded = Recorded(monkeypatch)
    result = learned(method=method, compile=True, **changes)
    assert len(recorded.programs) == (2 if changes.get("mpc", plans(method)) else 1)
    assert_close(result, expected, 1e-5)
    np.testing.assert_allclose(result[1], expected[1], atol=1e-5)


def test_runs_that_differ_in_numbers_share_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    for method, changes in (
        ("cdred", {}),
        ("cdred", {"zeta": 0.5, "alpha": 0.5, "sigma": 2.0, "learning_rate": 1e-4}),
        ("cdred", {"tau": 0.1, "entropy_coef": 0.1, "value_coef": 0.5, "grad_clip": 1.0}),
        ("red", {}),
    ):
        learned(1, method, compile=True, mpc=False, **changes)
    assert len({program.code for program in recorded.programs}) == 1


@pytest.mark.parametrize(
    ("compile_", "steps", "on_cpu", "on_cuda"),
    [
        ("auto", 500_000, "compiled", "captured"),
        ("auto", 2_000, "captured", "captured"),
        (True, 2_000, "compiled", "compiled"),
        (False, 500_000, "eager", "eager"),
    ],
)
def test_what_is_compiled_follows_from_settings_and_kind_of_device(
    compile_: Any, steps: int, on_cpu: str, on_cuda: str
) -> None:
    s = toy(compile=compile_, steps=steps, updates_per_step=1.0)
    assert (derived.execution(s, "cpu"), derived.execution(s, "cuda")) == (on_cpu, on_cuda)


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(graph, "_compiles", lambda _: False)
    with pytest.raises(CdredError, match=r"^compile: g\+\+ is missing here; install"):
        learned(compile=True)


@pytest.mark.parametrize("value", ["", "nonsense", "g++ -O2", "/bin/true", "ls", "/tmp", "x\ny"])
def test_a_compiler_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", value)
    with pytest.raises(CdredError, match=r"(?s)^compile: CXX=.*: not a C\+\+ compiler; it must be"):
        learned(compile=True)


class StoppedError(Exception):
    """The process is gone."""


class Kept(Monitor):
    """Keeps the state of one step, and stops there the first time."""

    def __init__(self, at: int) -> None:
        self.at, self.steps, self.state = at, 0, None

    def saved(self) -> dict[str, Any] | None:
        return self.state

    def save_state(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        self.steps += 1
        if self.steps == self.at and self.state is None:
            self.state = state()
            raise StoppedError


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_compiled_learns_the_same_and_resumes_to_the_same_bytes(precision: Any) -> None:
    changes = {"precision": precision, "activation": "mish"}
    tolerance = {"float32": 1e-4, "bfloat16": 0.02}[precision]
    assert_close(learned(20, **changes, compile=True), learned(20, **changes), tolerance)
    s = toy(**OPTIONS | changes, compile=True)

    def train(monitor: Monitor) -> Agent:
        return train_agent(
            TASK, "cdred", s, 3, demonstrations(), torch.device("cpu"), monitor
        )[0]  # fmt: skip

    monitor = Kept(at=520)
    with pytest.raises(StoppedError):
        train(monitor)
    assert weights(train(monitor)) == weights(train(Monitor()))


def test_bench_measures_every_part_and_writes_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["cdred", "bench", "--sizes", "small", "--rounds", "1", "--threads", "1", "--no-compile",
         "--json", "bench.json"],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench.json").read_text())
    rows = {(row["operation"], row["variant"]): row for row in found["rows"]}
    for part in ("update", "plan"):
        for variant in ("float32", "bfloat16"):
            row = rows[part, variant]
            floor = row["gflop"] / row["gflops"] * 1e3
            assert row["floor_ratio"] == pytest.approx(row["ms"] / floor)
            assert row["ratio"] == pytest.approx(rows[part, "float32"]["ms"] / row["ms"])
            assert f"{part:19}  {variant}" in done.stdout
    for part in ("act by the policy", "sample both streams"):
        assert rows[part, "float32"]["ms"] > 0
    here = [task for task in ENVIRONMENTS if not not_installed(find(task).suite)]
    assert here and {f"step of {task}" for task in here} <= {k[0] for k in rows}


def test_only_another_checkout_is_timed_beside(tmp_path: Path) -> None:
    with pytest.raises(CdredError, match="not a checkout of this project"):
        bench_pair.run(tmp_path, ["small"], 1, 1, False, print)


@pytest.mark.parametrize("option", ["--device=cuda", "--seconds=9"])
def test_what_does_not_go_with_another_checkout_is_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--vs", str(CHECKOUT), option]) == 2
    assert "--vs times all of it on the processor" in capsys.readouterr().err


@pytest.mark.slow
def test_another_checkout_is_timed_beside() -> None:
    rows = bench_pair.run(CHECKOUT, ["small"], 1, 1, False, print)
    assert [row["operation"] for row in rows] == ["update", "plan"]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["ms_there"] / row["ms"])
        assert f"{row['ratio']:.2f}" in bench_pair.table(rows)


def test_work_is_counted_as_the_sum_of_its_matrix_products() -> None:
    from cdred.tools.counted_work import CountedWork

    with CountedWork() as work:
        product = torch.ones(3, 4, requires_grad=True) @ torch.ones(4, 5)
        product.sum().backward()
    assert work.flop == 2 * 3 * 4 * 5 * 2  # forward, and back to the one that has a gradient
