"""A method and a task of one's own, from examples/, through the whole DAG."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from support.project import CHECKOUT, Project
from support.servers import wait_until

TASK = "pointmass:make"
PATH = "pointmass-make"  # the task's name in paths
OF_CDRED = ("rnd_dim", "target_dim", "predictor_dim")  # settings that this method does not have


def test_the_examples_go_through_every_stage(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    for file in (CHECKOUT / "examples").glob("*.py"):
        shutil.copy(file, project.root)
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    params["experiment"] |= {"tasks": [TASK], "runs": ["adversarial"]}
    run = params["runs"]["cdred"] | {"method": "discriminator:METHOD"}
    params["runs"]["adversarial"] = {k: v for k, v in run.items() if k not in OF_CDRED}
    params["expert"] = {"accept_below": True}
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    before = (project.root / "params.yaml").read_bytes()
    wrong = project.root / "config/wrong.yaml"
    params["experiment"]["tasks"] = ["pointmass:mak"]
    wrong.write_text(yaml.safe_dump(params))
    done = project.attempt("cdred", "use", "config/wrong.yaml")
    assert done.returncode == 2 and "no 'mak'; did you mean 'make'?" in done.stderr
    assert (project.root / "params.yaml").read_bytes() == before
    project.run("cdred", "use")
    project.run("snakemake", "--cores", "2", "--quiet", "all")
    agent = f"artifacts/agents/{PATH}/adversarial/seed_0"
    assert project.manifest(agent)["task"] == TASK
    (row,) = [r for r in project.table("reports/toy/runs.csv") if r["run"] == "adversarial"]
    assert (row["task"], row["method"]) == (TASK, "discriminator:METHOD")
    assert (project.root / "reports/toy" / f"learning_curves--{PATH}.svg").exists()
    output = project.run("cdred", "verify", agent)
    assert "all 2 episodes exactly" in output
    # Each is a part of the digest of the jobs that use it, and of no other.
    with (project.root / "discriminator_reward.py").open("a") as code:
        code.write("ANOTHER = 1\n")
    assert stale(project) == {agent, f"artifacts/evaluations/{PATH}/adversarial/seed_0"}
    project.edit("pointmass.py", "STEPS = 100", "STEPS = 99")
    assert f"artifacts/experts/{PATH}/expert" in stale(project)


def test_recorded_demonstrations_of_an_own_task_need_no_expert(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    for name in ("pointmass.py", "record.py"):
        shutil.copy(CHECKOUT / "examples" / name, project.root)
    page = (CHECKOUT / "docs/demonstrations.md").read_text()
    _, _, after = page.partition("as `config/mine.yaml`:\n\n```yaml\n")
    (project.root / "config/mine.yaml").write_text(after.partition("```")[0])
    project.run("python", "record.py")
    project.run("cdred", "use", "config/mine.yaml")
    output = project.run("cdred", "demo")
    (row,) = project.table("reports/mine/runs.csv")
    assert (row["task"], row["run"]) == (TASK, "bc") and float(row["expert_share"]) > 0.5
    assert f"{float(row['return_mean']):.1f}" in output and "of 20" in output
    assert "of its demonstrations': " in (project.root / "reports/mine/report.md").read_text()
    done = project.attempt("cdred", "strip", "--out", "films.webp", "bcc")
    assert done.returncode == 2 and "did you mean 'bc'?" in done.stderr
    shutil.copy(CHECKOUT / "requirements.lock", project.root)
    # Its run is delivered by a process in the background first.
    wait_until(lambda: project.attempt("cdred", "register").returncode == 0)
    assert f"models:/cdred-{PATH}-bc@seed-0" in project.run("cdred", "register")
    project.run("cdred", "publish", "--dry-run")
    (card,) = (project.root / "published").glob(f"*/cdred-{PATH}-bc-seed-0/README.md")
    text = card.read_text()
    assert f"learning_curves--{PATH}.svg" in text
    # A file from the Hub chooses no code: whoever loads the agent imports the task.
    assert "import pointmass  # in a checkout that has it\nfrom cdred import" in text
    with (project.root / "recorded/pointmass.pkl").open("ab") as file:
        file.write(b"another")
    assert f"artifacts/demos/{PATH}/mine" in stale(project)


def stale(project: Project) -> set[str]:
    lines = project.run("cdred", "status").splitlines()
    return {x.split()[1] for x in lines if x.startswith("stale") and "artifacts/" in x}
