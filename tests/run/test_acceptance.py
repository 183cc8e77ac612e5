"""Where experts come from, and that one which is not good enough stops its stage and loses nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from support.project import Project

TRAIN = ("cdred", "expert", "--task", "cartpole-balance", "--expert", "expert")
EXPERT = "artifacts/experts/cartpole-balance/expert"


def change(project: Project, **tables: dict) -> None:
    """Change params.yaml, table by table."""
    file = project.root / "params.yaml"
    data = yaml.safe_load(file.read_text())
    for name, values in tables.items():
        data.setdefault(name, {}).update(values)
    file.write_text(yaml.safe_dump(data))


def refused(project: Project, *command: str) -> str:
    done = project.attempt(*command, "--quiet")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def trained(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.copy(tmp_path_factory.mktemp("experts") / "project", "experts")


def test_an_expert_of_a_task_with_nothing_published_is_accepted(trained: Project) -> None:
    log = (trained.root / "logs/experts/cartpole-balance/expert/log.txt").read_text()
    assert "nothing is published for cartpole-balance" in log


def test_an_expert_below_its_threshold_fails_and_is_kept(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    shutil.rmtree(project.root / EXPERT)
    change(project, expert={"threshold": {"cartpole-balance": 990.0}, "episodes": 3})
    line = refused(project, *TRAIN)
    assert line.startswith(f"cdred: {EXPERT}: the expert is not good enough: return ")
    assert "over 3 episodes, below 990 (params.yaml: expert.threshold)" in line
    assert not (project.root / EXPERT).exists()

    change(project, expert={"accept_below": True})
    output = project.run(*TRAIN)  # without training again, and to the same bytes
    assert "going on from the state of" in output and "below 990" in output and "accepted" in output
    assert project.manifest(EXPERT) == trained.manifest(EXPERT)


def test_published_scores_are_asked_for_unless_something_else_is(trained: Project) -> None:
    from cdred.config.schema import Acceptance
    from cdred.errors import CdredError
    from cdred.plan import Plan
    from cdred.run import acceptance

    job = Plan.load(trained.root).of("expert")[0]
    object.__setattr__(job, "task", "cup-catch")
    assert "at least 885.4 (90% of TD-MPC2's published 983.8)" in acceptance.judge(
        job, Acceptance(), 890.0
    )
    with pytest.raises(CdredError, match=r"return 880 over 20 episodes, below 885\.4"):
        acceptance.judge(job, Acceptance(), 880.0)
    object.__setattr__(job, "task", "mw-reach")
    assert "success 0.95" in acceptance.judge(job, Acceptance(), 0.95)
    with pytest.raises(CdredError, match=r"success 0\.8 over 20 episodes, below 0\.855"):
        acceptance.judge(job, Acceptance(), 0.8)
    assert "at least 0.7 (params.yaml" in acceptance.judge(
        job, Acceptance(threshold={"mw-reach": 0.7}), 0.8
    )


def test_an_agent_of_ones_own_as_expert(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    shutil.copytree(project.root / EXPERT / "pretrained_model", project.root / "mine")
    given = {"source": "checkpoint", "checkpoint": "mine"}
    change(project, experts={"expert": given})
    project.run(*TRAIN)
    weights = "pretrained_model/model.safetensors"
    assert (project.root / EXPERT / weights).read_bytes() == (
        project.root / "mine/model.safetensors"
    ).read_bytes()
    project.run("cdred", "demos", "--task", "cartpole-balance", "--demos", "expert-2")
    assert "up to date  artifacts/demos/cartpole-balance" in project.run("cdred", "status")

    config = project.root / "mine/config.json"  # what lies there is part of what the expert is
    data = json.loads(config.read_text())
    config.write_text(json.dumps(data | {"obs_shape": [6]}))
    assert f"stale       {EXPERT}" in project.run("cdred", "status")
    assert "checkpoint mine: cannot be loaded" in refused(project, *TRAIN)
    config.write_text(json.dumps(data))

    change(project, experiment={"tasks": ["acrobot-swingup"]})
    line = refused(project, "cdred", "expert", "--task", "acrobot-swingup", "--expert", "expert")
    assert line.endswith("checkpoint mine: an agent for cartpole-balance, not for acrobot-swingup")
    change(project, experiment={"tasks": ["cartpole-balance"]})
    change(project, experts={"expert": {"source": "checkpoint", "checkpoint": "someone/theirs"}})
    assert "experts.expert.checkpoint: someone/theirs: no such directory; a model on" in refused(
        project, *TRAIN
    )


def test_scripted_experts_and_what_others_recorded(tmp_path: Path) -> None:
    """From the benchmark's policy to demonstrations that replay, and back in as others' data."""
    project = Project.create(tmp_path / "p")
    change(
        project,
        experiment={"tasks": ["mw-reach"], "runs": ["bc"]},
        experts={"scripted": {"source": "scripted"}},
        demos={
            "own": {"expert": "scripted", "episodes": 2, "only": "successful"},
            "theirs": {"source": "minari", "path": "recorded", "episodes": 2},
        },
    )
    data = yaml.safe_load((project.root / "params.yaml").read_text())
    change(project, runs={"bc": data["runs"]["bc"] | {"demos": "own"}})
    assert "success 1 over 2 episodes, at least 0.855 (90% of TD-MPC2's" in project.run(
        "cdred", "expert", "--task", "mw-reach", "--expert", "scripted",
        MUJOCO_GL="osmesa",  # a user's choice for films ends no process that draws nothing
    )  # fmt: skip
    assert "2 episodes, return" in project.run(
        "cdred", "demos", "--task", "mw-reach", "--demos", "own"
    )
    assert "all 2 episodes exactly" in project.run(
        "cdred", "verify", "artifacts/demos/mw-reach/own"
    )

    shutil.copytree(project.root / "artifacts/demos/mw-reach/own/data", project.root / "recorded")
    shutil.rmtree(project.root / "artifacts")
    change(project, runs={"bc": data["runs"]["bc"] | {"demos": "theirs"}})
    project.run("snakemake", "--cores", "1", "--quiet", "all")
    assert "of its demonstrations': " in project.run("cdred", "show")
    assert "intact " in project.run("cdred", "verify", "artifacts/demos/mw-reach/theirs")
    project.run("cdred", "use")
    project.run("cdred", "record")
    assert "recorded" in (project.root / "dvc.yaml").read_text()
