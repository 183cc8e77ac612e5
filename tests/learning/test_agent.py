"""Agents in folders: what is loaded, of which versions, and what is refused in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.learning import tiny, train, weights
from support.project import CHECKOUT

import cdred
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.agent import Agent
from cdred.learning.checkpoint import load_expert

PUBLISHED = CHECKOUT / "tests/data/published-0.1.tar.xz"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agent")
    train("cdred")[0].save(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "agent")


def changed(folder: Path, change: Callable[[dict], None]) -> None:
    file = folder / "config.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def test_agents_of_the_first_version_act_as_they_did(tmp_path: Path) -> None:
    shutil.unpack_archive(PUBLISHED, tmp_path)
    for name, method in (("expert", "true_reward"), ("cdred-seed-0", "cdred")):
        folder = tmp_path / f"cdred-cartpole-balance-{name}"
        agent = cdred.Agent.from_pretrained(folder)
        assert agent.method == method and isinstance(agent, Agent)
        evaluation = json.loads((folder / "evaluation.json").read_text())
        from cdred import evaluation as playing

        episodes = playing.evaluate(agent, "cartpole-balance", len(evaluation["episodes"]), 0)
        assert [e.episode_return for e in episodes] == pytest.approx(
            [e["return"] for e in evaluation["episodes"]], rel=1e-3
        )


def test_a_folder_or_an_artifact_s_folder(copy: Path) -> None:
    (copy.parent / "artifact").mkdir()
    (copy.parent / "artifact/pretrained_model").symlink_to(copy)
    found = [Agent.from_pretrained(p) for p in (copy, str(copy), copy.parent / "artifact")]
    assert len({weights(agent) for agent in found}) == 1
    assert not found[0].training
    assert cdred.load_agent(copy).act(np.zeros((1, 5), np.float32)).shape == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["settings"].update(zetta=1), "settings: zetta: Extra inputs are not"),
        (
            lambda d: d["settings"].update(latent_dim=24),
            "F32 of 16x17, its config.json asks for F32",
        ),
        (
            lambda d: d["settings"].update(latent_dim=10**9),
            "latent_dim: must be less than or equal",
        ),
        (
            lambda d: d["settings"].update(latent_dim=2**13, mlp_dim=2**13, num_q=100),
            "asks for F32",
        ),
        (lambda d: d["settings"].update(zeta="high"), "settings: zeta: must be a valid number"),
        (lambda d: d["settings"].update(zeta=None), "settings: zeta: must be a valid number"),
        (lambda d: d["settings"].update(presets={}), "settings: presets: Extra inputs are not"),
        (lambda d: d.update(method="cdrd"), "no method is called 'cdrd'; did you mean 'cdred'"),
        (lambda d: d.update(method="antigravity:x"), "import antigravity first, if you trust it"),
        (lambda d: d.update(settings=None), "config.json: settings: must be a valid dictionary"),
        (lambda d: d.update(settings=[[[]]]), "config.json: settings: must be a valid dictionary"),
        (
            lambda d: d.update(obs_shape=[10**12]),
            r"obs_shape: \[1000000000000\], those of cartpole",
        ),
        (lambda d: d.update(obs_shape=[5, 5, 5]), r"obs_shape: .* are \[9, 64, 64\]"),
        (lambda d: d.update(action_dim=2), "action_dim: 2, those of cartpole-balance are 1"),
        (lambda d: d.update(action_dim=True), "action_dim: must be a valid integer"),
        (lambda d: d.update(task="cup-catch"), "obs_shape: .* those of cup-catch are"),
        (
            lambda d: d.update(method="cfil", settings={"mlp_dim": 2**13}),
            "for which there is no place",
        ),
        (lambda d: d.pop("task"), "config.json: task: Field required"),
    ],
)
def test_what_does_not_fit_is_refused(copy: Path, change: Callable, reason: str) -> None:
    changed(copy, change)
    with pytest.raises(CdredError, match=reason) as caught:
        Agent.from_pretrained(copy)
    assert str(caught.value).startswith(f"{copy}: ") and "\n" not in str(caught.value)


def test_files_that_are_missing_or_damaged_are_named(copy: Path) -> None:
    weights_file = copy / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    with pytest.raises(CdredError, match=r"model\.safetensors: not of safetensors, or cut short"):
        Agent.from_pretrained(copy)
    weights_file.unlink()
    with pytest.raises(CdredError, match=r"no model.safetensors: not the folder of an agent"):
        Agent.from_pretrained(copy)
    with pytest.raises(CdredError, match=r"no config.json: not the folder of an agent"):
        Agent.from_pretrained(copy / "absent")


def test_another_librarys_keys_are_left_alone(copy: Path) -> None:
    changed(copy, lambda d: d.update(library_name="x"))
    Agent.from_pretrained(copy)


def test_an_expert_must_fit_its_task(copy: Path) -> None:
    assert load_expert(copy, "cartpole-balance", "state", "mine").task == "cartpole-balance"
    for task, obs, reason in (
        ("cartpole-balance", "rgb", "observations state, the task's are rgb"),
        ("acrobot-swingup", "state", "an agent for cartpole-balance, not for acrobot-swingup"),
        ("cartpole-swingup", "state", "an agent for cartpole-balance, not for cartpole-swingup"),
    ):
        with pytest.raises(CdredError, match=reason):
            load_expert(copy, task, obs, "mine")
    with pytest.raises(CdredError, match=r"checkpoint mine: cannot be loaded: no config.json"):
        load_expert(copy / "absent", "mw-reach", "state", "mine")


def test_the_learner_does_not_know_the_hub() -> None:
    code = """
import sys
import cdred.learning.train, cdred.learning.saving, cdred.learning.play
from cdred import methods
for method in methods.built_in():
    for part in (method.reward_model, method.networks, method.trainer):
        methods.load(part)
print(*[m for m in sys.modules if m.startswith(("huggingface_hub", "cdred.hub", "cdred.plan"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("task", "size", "other"), [("hopper-hop", 15, True), ("cup-catch", 8, False)]
)
def test_an_agent_of_another_order_of_observations_is_refused(
    task: str, size: int, other: bool, tmp_path: Path
) -> None:
    """As 0.1 wrote them: config.json states no format."""
    agent = Agent.create(task, "bc", (size,), find(task).action_dim, tiny("bc"))
    agent.save(tmp_path)
    assert Agent.from_pretrained(tmp_path).task == task
    config = json.loads((tmp_path / "config.json").read_text())
    del config["format"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    if other:
        with pytest.raises(CdredError, match=r"observations of hopper-hop in another order; make"):
            Agent.from_pretrained(tmp_path)
    else:
        Agent.from_pretrained(tmp_path)
