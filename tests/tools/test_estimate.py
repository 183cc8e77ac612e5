"""`cdred cost --estimate`: what an experiment would take, from counted work and measured rates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.project import Project

from cdred import methods
from cdred.errors import CdredError
from cdred.tools import estimate

SIZES: dict[str, Any] = {
    "latent_dim": 16, "encoder_dim": 24, "mlp_dim": 40, "batch_size": 8, "encoder_layers": 2,
}  # fmt: skip


def settings(method: str, **changes: Any) -> Any:
    return methods.find(method).settings.preset("small", **SIZES | changes)


S = settings("cdred")


def benchmark(path: Path, preset: str = "small") -> Path:
    """One that got a GFLOP done in a millisecond, an agent step in two."""
    rows = [
        {"preset": preset, "operation": operation, "variant": "float32", "ms": 5.0, "gflop": 5.0}
        for operation in ("update", "plan")
    ]
    rows.append(
        {"preset": "", "operation": "step of cup-catch", "variant": "", "ms": 2.0, "gflop": None}
    )
    found = {"machine": "a machine", "device": "cpu", "threads": 2, "rows": rows}
    path.write_text(json.dumps(found))
    return path


def test_work_is_that_of_the_matrix_products() -> None:
    """Of behaviour cloning on 5 observations and 1 action, layer by layer: a forward pass, the
    weights' gradients, and the inputs' but for the first."""
    layers = [(5, 24), (24, 16), (16, 40), (40, 40), (40, 2)]
    products = [2 * 8 * i * o for i, o in layers]
    update, plan = estimate.work("cartpole-balance", "bc", settings("bc"))
    assert update * 1e9 == pytest.approx(3 * sum(products) - products[0])
    assert plan == 0


@pytest.mark.parametrize(
    "method", ["true_reward", "cdred", "red", "iqmpc", "cfil", "gail", "sail", "hype"]
)
def test_every_method_has_its_work_counted(method: str) -> None:
    update, plan = estimate.work("cartpole-balance", method, settings(method))
    assert update > 0 and plan == 0
    if methods.find(method).plans:
        planning = settings(method, mpc=True, plan_samples=32, plan_elites=4, plan_policy_samples=4)
        assert estimate.work("cartpole-balance", method, planning)[1] > 0


def test_hours_add_up(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    text = project.run("cdred", "cost", "--estimate", str(benchmark(tmp_path / "bench.json")))
    lines = {tuple(line.split()[:2]): line.split() for line in text.splitlines()[2:]}
    assert set(lines) == {
        ("cartpole-balance", "expert"), ("cartpole-balance", "cdred"), ("cartpole-balance", "bc"),
        ("all", "3"),
    }  # fmt: skip
    assert lines["cartpole-balance", "cdred"][2:5] == ["1", "52", "0"]  # jobs, updates, plans
    rates = estimate.read(tmp_path / "bench.json")
    s = S.replace(steps=1000, eval_every=500, eval_episodes=2)
    # 3 GFLOP of updates, 7 of plans; 1000 steps and twice 2 episodes of 500, 2 ms each
    hours = estimate._hours(rates, "cartpole-balance", s, 3.0, 7.0)
    assert hours == pytest.approx((3 + 7 + 2 * (1000 + 2 * 2 * 500)) / 3.6e6)


def test_planning_is_counted_while_learning_and_in_the_curve() -> None:
    s = S.replace(steps=4000, seed_steps=1000, updates_per_step=0.5, eval_every=2000,
                eval_episodes=3)  # fmt: skip
    assert estimate._counts("cup-catch", s) == (2000, 0)
    evaluated = s.replace(eval_policy="plan")
    assert estimate._counts("cup-catch", evaluated) == (2000, 2 * 3 * 500)
    assert estimate._counts("cup-catch", s.replace(mpc=True)) == (2000, 3000 + 3000)
    assert estimate._counts("cup-catch", settings("bc", steps=4000)) == (4000, 0)


def test_what_is_no_benchmark_or_of_other_sizes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    with pytest.raises(CdredError, match=f"{file}: .*; `cdred bench --json"):
        estimate.read(file)
    with pytest.raises(CdredError, match=r"none\.json: missing; `cdred bench --json"):
        estimate.read(tmp_path / "none.json")
    rates = estimate.read(benchmark(tmp_path / "paper.json", preset="paper"))
    with pytest.raises(CdredError, match="no small sizes; `cdred bench --sizes small --json"):
        estimate._hours(rates, "cup-catch", S, 1.0, 0.0)
