"""A killed stage goes on from its last state and ends with the bytes of an uninterrupted one."""

from __future__ import annotations

import os
import random
import re
import shutil
import time
from pathlib import Path

import pytest
from support.killing import Stage
from support.project import Project

from cdred.plan import Plan

TASK = "cartpole-balance"
STAGES = {
    "expert": (f"artifacts/experts/{TASK}/expert", "--expert expert"),
    "demos": (f"artifacts/demos/{TASK}/expert-2", "--demos expert-2"),
    "imitate": (f"artifacts/agents/{TASK}/cdred/seed_0", "--run cdred --seed 0"),
    "imitate bc": (f"artifacts/agents/{TASK}/bc/seed_0", "--run bc --seed 0"),
    "evaluate": (f"artifacts/evaluations/{TASK}/cdred/seed_0", "--run cdred --seed 0"),
}
CDRED = STAGES["imitate"][0]


def arguments(stage: str) -> list[str]:
    return [stage.split()[0], "--task", TASK, *STAGES[stage][1].split()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose stages ran without interruption. Every step's state is saved from here on."""
    project = Project.create(tmp_path_factory.mktemp("resume") / "project")
    project.edit("params.yaml", "seed_steps: 510", "seed_steps: 502")
    project.edit("params.yaml", "save_every: 60", "save_every: 0")
    project.run("cdred", "use")
    for stage in STAGES:
        assert Stage(project.root, *arguments(stage)).wait() == 0, log(project)
    return project


def log(project: Project) -> str:
    return (project.root / "stage.log").read_text()


@pytest.fixture
def again(done: Project, tmp_path: Path) -> Project:
    shutil.copytree(done.root, tmp_path / "again")
    (tmp_path / "again/stage.log").unlink()
    return Project(tmp_path / "again")


def digests(project: Project) -> set[str]:
    return {path.name for path in (project.root / ".cdred/state").iterdir()}


@pytest.mark.parametrize("stage", STAGES)
def test_killed_anywhere_it_ends_with_the_same_bytes(
    stage: str, done: Project, again: Project
) -> None:
    """Kills just before or after a change on disk, among hundreds at random, and at any time."""
    artifact = again.root / STAGES[stage][0]
    expected = (artifact / "manifest.json").read_bytes()  # holds the hash of every file
    shutil.rmtree(artifact)
    chance = random.Random(stage)
    total = 100 if stage == "imitate bc" else 1000  # changes on disk in a run: two a step
    for kill_at in sorted(chance.sample(range(2, 2 * total), 3)):
        found = Stage(again.root, *arguments(stage), kill_at=kill_at).wait()
        # The later attempts make fewer changes: they may come to their end.
        assert found in (-9, 0), log(again)
        if found == 0:
            shutil.rmtree(artifact)
    attempt = Stage(again.root, *arguments(stage))
    time.sleep(chance.uniform(0, 2))
    attempt.kill()
    assert Stage(again.root, *arguments(stage)).wait() == 0, log(again)
    assert (artifact / "manifest.json").read_bytes() == expected
    assert "going on from the state of" in log(again)
    assert digests(again) == set()  # nothing is left of it
    assert not [path for path in artifact.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("moment", range(2, 6))
def test_killed_while_an_older_artifact_is_replaced(moment: int, again: Project) -> None:
    """The last two changes on disk: the old one goes aside, the new one takes its place."""
    artifact = again.root / STAGES["imitate bc"][0]
    old = (artifact / "manifest.json").read_bytes()
    again.edit("params.yaml", "steps: 50\n", "steps: 49\n")
    counted = Stage(again.root, *arguments("imitate bc"))
    assert counted.wait() == 0, log(again)
    new = (artifact / "manifest.json").read_bytes()
    assert new != old
    again.edit("params.yaml", "steps: 49\n", "steps: 50\n")
    kill_at = 2 * counted.calls.value + 2 - 6 + moment
    assert Stage(again.root, *arguments("imitate bc"), kill_at=kill_at).wait() in (-9, 0)
    copies = [
        (path / "manifest.json").read_bytes()
        for path in artifact.parent.iterdir()
        if (path / "manifest.json").exists()
    ]
    assert new in copies or old in copies
    assert Stage(again.root, *arguments("imitate bc")).wait() == 0, log(again)
    assert (artifact / "manifest.json").read_bytes() == old
    assert [path.name for path in artifact.parent.iterdir()] == ["seed_0"]


def interrupted(project: Project) -> Path:
    """Kill the imitating agent's training in its midst; the file of its state."""
    shutil.rmtree(project.root / CDRED, ignore_errors=True)
    assert Stage(project.root, *arguments("imitate"), kill_at=901).wait() == -9
    (digest,) = digests(project)
    return project.root / ".cdred/state" / digest / "state.pt"


def refused(project: Project, *command: str) -> str:
    found = project.attempt("cdred", *command)
    assert found.returncode == 2, found.stdout + found.stderr
    (line,) = found.stderr.splitlines()
    return line.removeprefix("cdred: ")


def test_a_state_of_another_job_or_a_damaged_one_is_named_and_kept(again: Project) -> None:
    file = interrupted(again)
    mine = file.read_bytes()
    again.edit("params.yaml", "seeds:\n  - 0", "seeds:\n  - 0\n  - 1")
    other = Plan.load(again.root).job("imitate", TASK, "cdred", 1)
    shutil.copytree(file.parent, file.parent.with_name(other.digest))
    line = refused(again, "imitate", "--task", TASK, "--run", "cdred", "--seed", "1")
    assert re.search(r"state.pt: the state of another job \(digest \w+, not \w+\); move it", line)

    file.write_bytes(mine[: len(mine) // 2])
    line = refused(again, *arguments("imitate"))
    assert "state.pt: the saved state cannot be read" in line and "remove it to start over" in line
    assert file.read_bytes() == mine[: len(mine) // 2]


def test_a_second_process_on_the_same_job_is_refused(again: Project) -> None:
    shutil.rmtree(again.root / CDRED)
    first = Stage(again.root, *arguments("imitate"))
    while not digests(again):
        time.sleep(0.05)
    line = refused(again, *arguments("imitate"))
    assert f"{CDRED}: process {first.process.pid} on {os.uname().nodename} (since " in line
    assert "is making it; wait for it, or stop it" in line
    assert first.wait() == 0, log(again)


FULL = """
mount -t tmpfs -o size=512k tmpfs {folder} || exit 77
cp -r {kept}/. {folder}/
dd if=/dev/zero of={folder}/filler bs=1k 2>/dev/null
cd {root}
cdred {command}
code=$?
find {folder} -name state.pt -exec cp {{}} {root}/after.pt \\;
exit $code
"""


@pytest.mark.parametrize("full", [".cdred/state", f"artifacts/agents/{TASK}/cdred"])
def test_a_full_disk_is_one_line_and_the_work_is_kept(
    full: str, done: Project, again: Project, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs a small file system, which only root can mount")
    file = interrupted(again)
    before = file.read_bytes()
    kept = tmp_path / "kept"
    shutil.copytree(again.root / full, kept)
    script = FULL.format(
        folder=again.root / full, kept=kept, root=again.root, command=" ".join(arguments("imitate"))
    )
    found = again.attempt("unshare", "-m", "bash", "-c", script)
    if found.returncode == 77 or "unshare" in found.stderr:
        pytest.skip(f"no private mounts here: {found.stderr.strip()}")
    assert found.returncode == 2, found.stderr
    lines = [line for line in found.stderr.splitlines() if line.startswith("cdred: ")]
    assert len(lines) == 1 and "No space left on device" in lines[0], found.stderr
    assert "Traceback" not in found.stderr
    if full == ".cdred/state":
        assert (again.root / "after.pt").read_bytes() == before
    # With space again, the same command completes it.
    again.run("cdred", *arguments("imitate"))
    name = f"{CDRED}/manifest.json"
    assert (again.root / name).read_bytes() == (done.root / name).read_bytes()


def test_clean_removes_what_nothing_needs_and_says_how_much(again: Project) -> None:
    needed = interrupted(again).parent
    again.edit("params.yaml", "seeds:\n  - 0", "seeds:\n  - 3")
    again.edit("config/toy.yaml", "seed_steps: 510", "seed_steps: 502")  # still asks for seed 0
    dropped = needed.with_name("f" * 64)
    shutil.copytree(needed, dropped)
    partial = again.root / CDRED / "../.seed_9.partial"
    (partial / "data").mkdir(parents=True)
    (partial / "data/half").write_bytes(bytes(2_500_000))
    made_once = f"{CDRED}".replace("/", "__").replace("seed_0", "seed_9") + ".lock"
    (again.root / ".cdred/locks" / made_once).touch()
    others = again.root / "others"
    for own in (
        others / "a",
        again.root / "artifacts/.keep.partial",
        again.root / "artifacts/..old",
    ):
        own.mkdir(parents=True)
        (own / "thesis.txt").write_text("mine")
    needed.with_name("note.txt").write_text("mine")
    needed.with_name("e" * 64).symlink_to(others)
    (again.root / "artifacts/agents/.cdred.partial").symlink_to(others)
    planned = again.run("cdred", "clean", "--dry-run")
    assert dropped.exists() and "would remove 3 leftovers" in planned
    output = again.run("cdred", "clean")
    assert output == planned.replace("would remove", "removed")
    assert re.search(rf"2.5 MB +artifacts/agents/{TASK}/cdred/.seed_9.partial: unfinished", output)
    assert f"{CDRED}, which no experiment here asks for" in output
    assert f"kept  .cdred/state/{needed.name}: {CDRED} goes on from it" in output
    assert not dropped.exists() and not partial.exists() and needed.exists()
    # What is not named, or does not lie, as this tool makes it is somebody's own.
    kept = [*again.root.rglob("thesis.txt"), needed.with_name("note.txt")]
    assert [file.read_text() for file in kept] == ["mine"] * 4


def test_what_is_not_a_number_keeps_the_last_good_state(again: Project) -> None:
    again.edit("params.yaml", "steps: 50\n", "steps: 50\n    learning_rate: 1.0e+11\n")
    line = refused(again, *arguments("imitate bc"))
    assert re.search(
        r"stopped, nothing was written: \w+ is \w+ at update \d+; its last good state", line
    )
    (digest,) = digests(again)
    assert (again.root / ".cdred/state" / digest / "state.pt").exists()
