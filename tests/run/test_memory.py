"""A job that this machine's memory cannot hold is refused before its first step."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from support.configurations import GOOD
from support.project import CHECKOUT

from cdred import methods
from cdred.errors import CdredError
from cdred.plan import Plan
from cdred.run import memory


def plan_with(tmp_path: Path, settings: str) -> Plan:
    (tmp_path / "cdred").symlink_to(CHECKOUT / "cdred")
    text = GOOD.replace("zeta: 0.7", settings.replace(", ", "\n    "))
    if settings.startswith("evaluation"):
        text = f"{settings}\n{GOOD}"
    (tmp_path / "params.yaml").write_text(text)
    return Plan.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("mlp_dim: 8192, num_q: 100", "runs.cdred.mlp_dim: 8192 takes 139.2 GB"),
        ("predictor_dim: 8192, predictor_layers: 100", "runs.cdred.predictor_dim: 8192 takes 2"),
        ("steps: 1000000000000, buffer_size: 1000000000000", "runs.cdred.buffer_size: 1000000000000 takes 40,000.0 GB"),
        ("batch_size: 1000000, horizon: 400", "runs.cdred.batch_size: 1000000 takes 218.1 GB"),
        ("eval_episodes: 10000", "runs.cdred.eval_episodes: 10000 takes 10.0 GB"),
        ("evaluation: {episodes: 10000}", "evaluation.episodes: 10000 takes 10.0 GB"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_what_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, expected: str
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 8 * 10**9)
    plan = plan_with(tmp_path, settings)
    with pytest.raises(CdredError) as caught:
        memory.check_plan(plan)
    message = str(caught.value)
    assert message.startswith(f"params.yaml: {expected}"), message
    value = message.split(": ")[2].partition(" ")[0]
    would_do = message.removesuffix(" would do").rpartition(" ")[2]
    assert int(would_do) < int(value)
    (tmp_path / "params.yaml").write_text(
        (tmp_path / "params.yaml").read_text().replace(value, would_do)
    )
    memory.check_plan(Plan.load(tmp_path))


def test_a_replay_that_is_never_full_takes_what_its_steps_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 2 * 10**9)
    memory.check_plan(plan_with(tmp_path, "buffer_size: 1000000000000"))


@pytest.mark.parametrize("name", [method.name for method in methods.built_in()])
def test_the_networks_of_every_method_are_counted(name: str) -> None:
    s = methods.find(name).settings()
    size = partial(memory._networks, "cup-catch", name, (8,))
    narrow, wide = size(s.replace(mlp_dim=256)), size(s.replace(mlp_dim=1024))
    assert 0 < narrow < wide
