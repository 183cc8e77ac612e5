"""`cdred verify` on a real chain: intact and reproduced, or what is wrong with it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.project import Project

from cdred import manifest
from cdred.errors import CdredError
from cdred.run import verify
from cdred.system.locks import exclusive

TASK = "cartpole-balance"
EXPERT = f"artifacts/experts/{TASK}/expert"
DEMOS = f"artifacts/demos/{TASK}/expert-2"
AGENT = f"artifacts/agents/{TASK}/cdred/seed_0"
EVALUATION = f"artifacts/evaluations/{TASK}/cdred/seed_0"
EVALUATE = ("cdred", "evaluate", "--task", TASK, "--run", "cdred", "--seed", "0")


@pytest.fixture(scope="module")
def made(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("verification") / "project"
    project = finished.copy(root, "experts", "demos", "agents")
    project.edit("params.yaml", "video: 0", "video: 5")
    project.run(*EVALUATE, "--quiet")
    return project


@pytest.fixture
def chain(made: Project, tmp_path: Path) -> Project:
    return made.copy(tmp_path / "copy")


def rewrite(project: Project, artifact: str, **changes: object) -> None:
    """Change an artifact's manifest, its file hashes right again: a careful forgery."""
    directory = project.root / artifact
    own = json.loads((directory / "manifest.json").read_text()) | changes
    own.pop("files")
    own.pop("format")
    manifest.write(directory, own)


def forge(project: Project, change: float) -> None:
    """Claim `change` more of the first episode's return."""
    file = project.root / EVALUATION / "evaluation.json"
    found = json.loads(file.read_text())
    found["episodes"][0]["return"] += change
    found["return_mean"] = float(np.mean([e["return"] for e in found["episodes"]]))
    file.write_text(json.dumps(found))
    rewrite(project, EVALUATION)


def test_an_honest_chain_is_intact_and_reproduced(made: Project) -> None:
    assert "video.mp4" in made.manifest(EVALUATION)["files"]
    for artifact in (AGENT, EVALUATION):
        output = made.run("cdred", "verify", artifact)
        for part in (EXPERT, DEMOS, AGENT):
            assert f"intact      {part}: " in output
        assert f"reproduced  {EVALUATION}: all 2 episodes exactly" in output
    # Demonstrations: their seeds and actions give their observations again.
    output = made.run("cdred", "verify", f"{made.root / DEMOS}/")
    assert f"reproduced  {DEMOS}: all 2 episodes exactly" in output


def test_an_evaluation_that_cannot_be_filmed_is_not_lost(chain: Project) -> None:
    shutil.rmtree(chain.root / EVALUATION)
    done = chain.attempt(*EVALUATE, "--quiet", MUJOCO_GL="crayons")
    assert done.returncode == 2
    assert done.stderr.startswith(f"cdred: {TASK}: no film: MUJOCO_GL=crayons: not one of")
    assert len(done.stderr.splitlines()) == 1
    assert f"missing     {EVALUATION} (begun: goes on from its saved state)" in chain.run(
        "cdred", "status"
    )
    with exclusive(chain.root, Path(EVALUATION)):
        assert f"missing     {EVALUATION} (is being made)" in chain.run("cdred", "status")
    assert "going on from the state of" in chain.run(*EVALUATE)
    assert chain.manifest(EVALUATION)["files"]["video.mp4"]


def test_a_claimed_return_that_does_not_come_back_is_told(chain: Project) -> None:
    forge(chain, 0.5)
    done = chain.attempt("cdred", "verify", EVALUATION)
    assert done.returncode == 1
    assert f"NOT REPRODUCED  {EVALUATION}: 1 of 2 episodes, farthest 0.5 off" in done.stdout


def test_elsewhere_a_stated_tolerance_decides(chain: Project) -> None:
    forge(chain, 0.5)
    rewrite(chain, EVALUATION, machine="another processor")
    output = chain.run("cdred", "verify", EVALUATION)
    assert "other here: machine; so within " in output and "reproduced  " in output
    done = chain.attempt("cdred", "verify", EVALUATION, "--tolerance", "0.0001")
    assert done.returncode == 1 and "NOT REPRODUCED" in done.stdout


def test_demonstrations_whose_observations_were_changed_are_told(chain: Project) -> None:
    import h5py

    with h5py.File(chain.root / DEMOS / "data/main_data.hdf5", "a") as data:
        data["episode_0/observations"][7] += 1e-3
    rewrite(chain, DEMOS)
    done = chain.attempt("cdred", "verify", DEMOS)
    assert done.returncode == 1 and f"NOT REPRODUCED  {DEMOS}" in done.stdout


@pytest.mark.parametrize(
    "damage",
    ["a byte", "another input", "its parameters", "fewer episodes", "moved", "nothing there"],
)
def test_a_chain_that_is_not_intact_is_one_line(chain: Project, damage: str) -> None:
    artifact, expected = EVALUATION, ""
    if damage == "a byte":
        file = chain.root / EXPERT / "curve.csv"
        file.write_text(file.read_text() + " ")
        expected = f"{EXPERT}/curve.csv: damaged, its hash differs from its manifest; `cdred expert --task {TASK} --expert expert` makes it again"
    elif damage == "another input":
        (chain.root / EXPERT / "note.txt").write_text("swapped")
        rewrite(chain, EXPERT)
        expected = f"{EXPERT}/manifest.json: not the one that {DEMOS} was made from; make the latter again, or bring the former back"
    elif damage == "its parameters":
        rewrite(chain, EVALUATION, params={"episodes": 2, "seed": 1, "video": 5})
        expected = f"{EVALUATION}/manifest.json: its digest does not follow from it"
    elif damage == "fewer episodes":
        file = chain.root / EVALUATION / "evaluation.json"
        found = json.loads(file.read_text())
        file.write_text(json.dumps(found | {"episodes": found["episodes"][:1], "filmed": 0}))
        rewrite(chain, EVALUATION, machine="another processor")
        expected = f"{EVALUATION}: its episodes and seeds are not those that follow from its manifest and files"
    elif damage == "moved":
        artifact = EVALUATION.replace("seed_0", "seed_1")
        shutil.copytree(chain.root / EVALUATION, chain.root / artifact)
        expected = f"{artifact}: its manifest is that of {EVALUATION}"
    else:
        artifact = "artifacts/agents/nobody"
        expected = (
            "artifacts/agents/nobody: no such artifact; name a directory that holds a manifest.json"
        )
    done = chain.attempt("cdred", "verify", artifact)
    assert done.returncode == 2
    assert done.stderr == f"cdred: {expected}\n"


# ---- what an evaluation says of itself, without playing it ------------------------------------

EPISODE = {"return": 1.0, "success": None, "length": 5, "seed": 0}
RESULTS = {"task": TASK, "method": "cdred", "return_mean": 1.0, "episodes": [EPISODE]}
MANIFEST = {
    "task": TASK,
    "params": {"episodes": 1, "seed": 0, "video": 0},
    "code": "",
    "packages": {},
    "device": "cpu",
}


@pytest.mark.parametrize(
    ("results", "params", "reason"),
    [
        ({"task": "cup-catch"}, {}, "a: its task are not those that follow"),
        ({"method": "bc"}, {}, "a: its method are not those that follow"),
        ({"method": "os:abort"}, {}, "evaluation.json: os:abort: expected a cdred.methods.Method"),
        ({"episodes": [EPISODE] * 2}, {}, "a: its episodes and seeds are not those"),
        ({"episodes": None}, {}, "evaluation.json: episodes: must be a valid list"),
        ({}, {"episodes": 10**9}, "a/manifest.json: params: episodes: must be less than"),
        ({}, {"episodes": None}, "a/manifest.json: params: episodes: must be a valid integer"),
        ({}, {"seed": "0"}, "a/manifest.json: params: seed: must be a valid integer"),
    ],
)
def test_an_evaluation_agrees_with_its_manifest_and_agent(
    results: dict, params: dict, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps(RESULTS | results))
    agent = SimpleNamespace(task=TASK, method="cdred")
    m = MANIFEST | {"params": MANIFEST["params"] | params}
    with pytest.raises(CdredError, match=re.escape(reason)):
        verify._evaluate("a", agent, tmp_path, m)


def test_a_task_that_a_manifest_names_chooses_no_code(tmp_path: Path) -> None:
    for task in ("os:abort", "huggingface_hub:logout", "cdred.cli:main", "antigravity:x"):
        m = MANIFEST | {"task": task, "inputs": {"a": ""}}
        for play in (verify._evaluation, verify._demos):
            with pytest.raises(CdredError, match="of a module of somebody's own; import"):
                play(tmp_path, "b", m)


def test_returns_that_are_unknown_are_neither_0_nor_nan(tmp_path: Path) -> None:
    def lines(recorded: list[float], again: list[float]) -> tuple[bool, str]:
        play = lambda: (np.array(recorded), np.array(again), True)  # noqa: E731
        outcome = verify.Reproduction(tmp_path, "b", MANIFEST, 0.05, play)
        return outcome.holds, "\n".join(outcome.lines())

    nan = float("nan")
    for recorded, again, holds in (([nan, nan], [nan, nan], True), ([nan, 1.0], [2.0, 1.0], False)):
        held, text = lines(recorded, again)
        assert held == holds and "mean return unknown" in text and "nan" not in text
