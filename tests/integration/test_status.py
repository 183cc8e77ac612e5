"""`cdred status` says why something is not up to date, `cdred diff` in what two artifacts differ."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from support.sandbox import AGENT, CODE, DEMOS, EXPERT, REPORT, TASK, Sandbox

EVALUATION = f"artifacts/evaluations/{TASK}/bc/seed_0"


def reasons(sandbox: Sandbox, artifact: str) -> tuple[str, list[str]]:
    """The state of an artifact by `cdred status`, and the reasons below it."""
    lines = sandbox.run("cdred", "status").splitlines()
    (start,) = [k for k, line in enumerate(lines) if f"  {artifact} " in f"{line} "]
    state, note = lines[start].split(artifact)
    indented = [line.strip() for line in lines[start + 1 :]]
    end = next(k for k, line in enumerate(lines[start + 1 :]) if not line.startswith(" "))
    return state.strip(), [note.strip()] * bool(note) + indented[:end]


def test_a_setting_and_what_follows_from_it(mine: Sandbox) -> None:
    mine.edit("params.yaml", "    steps: 50\n", "    steps: 40\n    demo_episodes: 1\n")
    assert reasons(mine, AGENT) == (
        "stale", ["runs.bc.demo_episodes from null to 1, runs.bc.steps from 50 to 40"],
    )  # fmt: skip
    assert reasons(mine, EVALUATION) == reasons(mine, REPORT) == ("stale", ["(follows)"])
    assert reasons(mine, EXPERT) == ("up to date", [])
    mine.run("cdred", "imitate", "--task", TASK, "--run", "bc", "--seed", "0")
    assert reasons(mine, EVALUATION) == ("stale", [f"{AGENT} was made again"])


def test_a_file_of_code(mine: Sandbox) -> None:
    mine.append(CODE, "x = 1\n")
    assert reasons(mine, EXPERT) == ("stale", [f"{CODE} changed"])
    selection = "cdred/demos/selection.py"
    mine.append(selection, "from cdred.learning import added\n")
    (mine.root / "cdred/learning/added.py").touch()
    assert reasons(mine, DEMOS) == (
        "stale",
        [
            f"{selection} changed, cdred/learning/added.py is new, {CODE} changed",
        ],
    )


def test_a_reason_is_given_once(mine: Sandbox) -> None:
    mine.append(CODE, "x = 1\n")
    assert reasons(mine, EXPERT) == ("stale", [f"{CODE} changed"])
    assert reasons(mine, AGENT) == ("stale", [f"(as {EXPERT})"])
    text = mine.run("cdred", "status")
    assert text.count(f"{CODE} changed") == 1 and "is not up to date" not in text


def test_what_it_will_take(mine: Sandbox) -> None:
    """From what jobs like those to be made took here, scaled by steps."""
    assert "time:" not in mine.run("cdred", "status")
    log = mine.root / AGENT.replace("artifacts", "logs") / "runtime.jsonl"
    digest = json.loads((mine.root / AGENT / "manifest.json").read_text())["digest"]
    event = {"digest": digest, "host": "h", "pid": 1, "attempt": "a", "peak_memory_mb": 9}
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(json.dumps(event | {"event": "end", "seconds": 100}) + "\n")
    mine.edit("params.yaml", "    steps: 50\n", "    steps: 5000\n    learning_rate: 0.1\n")
    text = mine.run("cdred", "status")
    assert re.search(
        r"^time: about 2:46:4\d, one after another, as such jobs took here$", text, re.M
    )
    # Another amount of work in each step: only its evaluation and the report are like any before.
    mine.edit("params.yaml", "    steps: 5000\n", "    steps: 5000\n    conv_channels: 8\n")
    text = mine.run("cdred", "status")
    assert re.search(r"^time: about 0:00:0\d, .*; 1 of 3 unknown: `cdred demo` ", text, re.M)
    shutil.rmtree(mine.root / "logs")
    text = mine.run("cdred", "status")
    assert "time: unknown, as none like them ran here; `cdred demo` " in text


def test_what_is_missing(mine: Sandbox) -> None:
    (mine.root / EXPERT / "data.txt").unlink()
    assert reasons(mine, EXPERT) == ("stale", ["data.txt is missing"])
    (mine.root / AGENT / "manifest.json").write_text("")
    assert reasons(mine, AGENT) == (
        "missing",
        [
            "its manifest.json cannot be read: not valid JSON: Expecting value: line 1 column 1 (char 0)"
        ],
    )
    (mine.root / DEMOS / "manifest.json").unlink()
    assert reasons(mine, DEMOS) == ("missing", ["it has lost its manifest.json"])
    shutil.rmtree(mine.root / REPORT)
    assert reasons(mine, REPORT)[0] == "missing"


@pytest.mark.parametrize("code", ["c0ffee".rjust(64, "0"), {CODE: "c0ffee".rjust(64, "0")}])
def test_what_an_earlier_version_made(code: object, mine: Sandbox) -> None:
    file = mine.root / EXPERT / "manifest.json"
    content = json.loads(file.read_text()) | {"code": code, "format": 1, "digest": "0" * 64}
    file.unlink()
    file.write_text(json.dumps(content))
    assert reasons(mine, EXPERT) == ("stale", ["made by an earlier version of cdred"])
    assert mine.make("snakemake") == {EXPERT}


def test_two_artifacts(mine: Sandbox, made: Sandbox) -> None:
    here, there = str(mine.root / AGENT), str(made.root / AGENT)
    assert mine.attempt("cdred", "diff", here, there) == (0, "no difference\n")
    mine.edit("params.yaml", "    steps: 50\n", "    steps: 40\n")
    mine.append("cdred/methods/bc/trainer.py", "x = 1\n")
    mine.make("snakemake")
    status, text = mine.attempt("cdred", "diff", there, here)
    assert status == 1
    assert text == (
        "parameters:\n  steps from 50 to 40\n"
        "code:\n  cdred/methods/bc/trainer.py changed\n"
        "results:\n  data.txt differs\n"
    )
    status, text = mine.attempt("cdred", "diff", there, "artifacts/nothing")
    assert status == 2
    assert text == (
        "cdred: artifacts/nothing: no such artifact; name a directory with a manifest.json\n"
    )
