"""Running single stages: inputs are checked, nothing is half-written, nothing foreign replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from support.project import Project

EXPERT = "artifacts/experts/cartpole-balance/expert"
DEMOS = "artifacts/demos/cartpole-balance/expert-2"
MAKE_EXPERT = ("cdred", "expert", "--task", "cartpole-balance", "--expert", "expert")
MAKE_DEMOS = ("cdred", "demos", "--task", "cartpole-balance", "--demos", "expert-2")


@pytest.fixture(scope="module")
def trained(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with its expert trained; tests put back what they break."""
    return finished.copy(tmp_path_factory.mktemp("stages") / "project", "experts")


def refused(project: Project, *command: str) -> str:
    """The one line with which a command refuses."""
    done = project.attempt(*command)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("cdred: ")
    return line.removeprefix("cdred: ")


def test_an_artifact_says_what_it_is_and_was_made_from(trained: Project) -> None:
    trained.run(*MAKE_DEMOS, "--quiet")
    manifest = json.loads((trained.root / DEMOS / "manifest.json").read_text())
    assert manifest["stage"] == "demos" and manifest["task"] == "cartpole-balance"
    assert manifest["params"].items() >= {"expert": "expert", "episodes": 2, "seed": 0}.items()
    assert set(manifest["files"]) == {"data/main_data.hdf5", "data/metadata.json", "episodes.csv"}
    assert list(manifest["inputs"]) == [EXPERT]
    assert manifest["packages"]["mujoco"] == "3.3.7"
    assert re.fullmatch("[0-9a-f]{64}", manifest["digest"])
    # Nothing of one run's circumstances: these stand in the logs.
    runtime = trained.root / "logs/demos/cartpole-balance/expert-2/runtime.jsonl"
    row = json.loads(runtime.read_text().splitlines()[-1])
    assert row["seconds"] > 0 and row["digest"] == manifest["digest"]
    assert not [p for p in (trained.root / "artifacts").rglob(".*") if p.is_dir()]


def test_a_reader_that_has_seen_enough_is_no_error(trained: Project) -> None:
    assert trained.attempt("bash", "-c", "cdred tasks | true").stderr == ""


def test_without_a_terminal_progress_is_lines_and_the_log_has_them(trained: Project) -> None:
    log = (trained.root / "logs/experts/cartpole-balance/expert/log.txt").read_text()
    assert re.search(
        r"expert cartpole-balance expert seed 0: 520/520 steps \(100%\), \d+ steps/s", log
    )
    assert "\r" not in log


def test_a_missing_input_is_named_with_the_command_that_makes_it(trained: Project) -> None:
    line = refused(
        trained, "cdred", "evaluate", "--task", "cartpole-balance", "--run", "bc", "--seed", "0"
    )
    assert line.startswith("artifacts/agents/cartpole-balance/bc/seed_0/manifest.json: missing")
    assert "`cdred imitate --task cartpole-balance --run bc --seed 0" in line


@pytest.mark.parametrize("damage", ["changed", "removed", "added"])
def test_a_damaged_input_is_named(trained: Project, damage: str) -> None:
    file = trained.root / EXPERT / "curve.csv"
    text = file.read_text()
    extra = trained.root / EXPERT / "stray.txt"
    try:
        if damage == "changed":
            file.write_text(text.replace("step", "stop"))
        elif damage == "removed":
            file.unlink()
        else:
            extra.write_text("")
        line = refused(trained, *MAKE_DEMOS)
    finally:
        file.write_text(text)
        extra.unlink(missing_ok=True)
    if damage == "added":
        assert line == f"{EXPERT}/stray.txt: not in its manifest; remove it"
    else:
        problem = "damaged, its hash differs" if damage == "changed" else "missing"
        assert line.startswith(f"{EXPERT}/curve.csv: {problem}")
        assert "`cdred expert --task cartpole-balance --expert expert" in line


def test_a_stale_input_is_refused(trained: Project) -> None:
    params = trained.root / "params.yaml"
    text = params.read_text()
    try:
        trained.edit("params.yaml", "steps: 520", "steps: 530")
        assert f"{EXPERT}: made from other parameters or code" in refused(trained, *MAKE_DEMOS)
    finally:
        params.write_text(text)


def test_a_directory_that_is_not_ours_is_never_replaced(trained: Project) -> None:
    mine = trained.root / "artifacts/agents/cartpole-balance/bc/seed_0"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("precious")
    command = ("cdred", "imitate", "--task", "cartpole-balance", "--run", "bc", "--seed", "0")
    line = refused(trained, *command)
    assert line.endswith("bc/seed_0: exists and was not made by cdred; move it away")
    assert (mine / "thesis.txt").read_text() == "precious"
    (mine / "thesis.txt").unlink()
    mine.rmdir()


def test_a_stage_that_fails_leaves_the_old_result(trained: Project) -> None:
    before = (trained.root / EXPERT / "manifest.json").read_bytes()
    params = trained.root / "params.yaml"
    text = params.read_text()
    try:
        trained.edit("params.yaml", "steps: 520", "steps: 520\n    learning_rate: 1.0e+11")
        done = trained.attempt(*MAKE_EXPERT)
        assert done.returncode == 2 and "_loss is" in done.stderr, done.stderr
    finally:
        params.write_text(text)
    assert (trained.root / EXPERT / "manifest.json").read_bytes() == before
    assert not [p for p in (trained.root / "artifacts").rglob(".*") if p.is_dir()]


def test_other_code_than_the_checkouts_is_refused(trained: Project) -> None:
    source = trained.root / "cdred/envs/tasks.py"
    text = source.read_text()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    import sys

    command = [str(Path(sys.executable).parent / "cdred"), *MAKE_DEMOS[1:]]
    try:
        source.write_text(text + "\nCHANGED = 1\n")
        done = subprocess.run(command, cwd=trained.root, env=env, capture_output=True, text=True)
    finally:
        source.write_text(text)
    assert done.returncode == 2 and "differs from the checkout's" in done.stderr


def test_a_read_only_checkout_is_one_line(trained: Project) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs a read-only mount, which only root can make")
    script = (
        f"mount --bind {trained.root} {trained.root} && mount -o remount,ro,bind {trained.root}"
        f' && cd {trained.root} && exec "$@"'
    )
    for command in (MAKE_DEMOS, ("cdred", "use", "config/toy.yaml"), ("snakemake", "-n")):
        done = trained.attempt("unshare", "-m", "bash", "-c", script, "bash", *command)
        if "unshare" in done.stderr or "mount:" in done.stderr:
            pytest.skip(f"no private mounts here: {done.stderr.strip()}")
        assert done.returncode == 2, done.stderr
        lines = [line for line in done.stderr.splitlines() if "profile" not in line]
        assert len(lines) == 1 and "cannot be written: Read-only file system" in lines[0], lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("imitate --task cup --run cdred --seed 0", "--task cup: not part of experiment 'toy' (params.yaml); valid: cartpole-balance"),
        ("imitate --task cartpole-balance --run cdrd --seed 0", "--run cdrd: not part of experiment 'toy' (params.yaml); did you mean 'cdred'?"),
        ("evaluate --task cartpole-balance --run cdred --seed 3", "--seed 3: not part of experiment 'toy' (params.yaml); valid: 0"),
        ("use config/qickstart.yaml", "config/qickstart.yaml: no such file; did you mean 'config/quickstart.yaml'?"),
        ("expert --task cartpole-balance", "the following arguments are required: --expert (see cdred expert --help)"),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line(trained: Project, arguments: str, expected: str) -> None:
    assert refused(trained, "cdred", *arguments.split()) == expected


def test_an_overlay_that_extends_nothing_or_itself_is_refused(trained: Project) -> None:
    overlay = trained.root / "config/other.yaml"
    for parent, expected in (
        ("tay.yaml", "config/other.yaml:1: extends: no file 'tay.yaml'; did you mean 'toy.yaml'?"),
        (
            "../config/other.yaml",
            "config/other.yaml:1: extends: ../config/other.yaml leads back to itself",
        ),
    ):
        overlay.write_text(f"extends: {parent}\n")
        assert refused(trained, "cdred", "use", "config/other.yaml") == expected
    overlay.unlink()


def test_use_does_not_change_an_entry_that_has_results(trained: Project) -> None:
    overlay = trained.root / "config/other.yaml"
    overlay.write_text("extends: toy.yaml\nexperts: {expert: {seed: 9}}\n")
    before = (trained.root / "params.yaml").read_text()
    line = refused(trained, "cdred", "use", "config/other.yaml")
    assert "experts.expert would change and already has results here" in line
    assert (trained.root / "params.yaml").read_text() == before
    overlay.unlink()
