"""A pulled repository is what its manifests state, to the byte, or is refused in one line."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from support.project import CHECKOUT

from cdred import manifest
from cdred.errors import CdredError
from cdred.hub import cards, publish, pull
from cdred.plan import Job

PUBLISHED = CHECKOUT / "tests/data/published-0.1.tar.xz"
AGENT, DEMOS = "cdred-cartpole-balance-cdred-seed-0", "cdred-cartpole-balance-expert-2"
LINEAGE = "lineage/artifacts/{}/cartpole-balance/{}/manifest.json"
EVALUATION = LINEAGE.format("evaluations", "cdred/seed_0")
SHA = "0" * 64


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    shutil.unpack_archive(PUBLISHED, folder)
    return folder


class Repository:
    """A publication of somebody, as it lies in the Hub client's cache."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        first = lambda *_, **__: str(folder / pull.PUBLICATION)  # noqa: E731
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", first)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: None)
        monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: [])

    def table(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name).read_text())

    def write(self, name: str, content: Any) -> None:
        """Write a file with its right hash in the publication: a careful forgery."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
        if name != pull.PUBLICATION:
            publication = self.table(pull.PUBLICATION)
            publication["files"][name] = manifest.hash_file(file)
            self.write(pull.PUBLICATION, publication)

    def change(self, name: str, **changes: Any) -> None:
        self.write(name, self.table(name) | changes)

    def pull(self, kind: str = "model") -> pull.Pulled:
        return pull.pull("somebody/agent", kind)

    def refused(self, kind: str = "model") -> str:
        with pytest.raises(CdredError) as caught:
            self.pull(kind)
        text = str(caught.value)
        assert text.startswith("somebody/agent: ") and text.isprintable()
        assert str(self.folder) not in text
        return text


@pytest.fixture
def agent(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    return Repository(shutil.copytree(archive / AGENT, tmp_path / "agent"), monkeypatch)


def test_what_an_earlier_version_published_is_pulled(
    archive: Path, agent: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = agent.pull()
    assert pulled.publication.kind == "agent" and pulled.evaluation is not None
    demos = Repository(archive / DEMOS, monkeypatch).pull("dataset")
    assert demos.manifest["stage"] == "demos" and demos.evaluation is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 99}, "publication.json: format: must be 1"),
        ({"kind": "weights"}, "publication.json: kind: must be 'expert'"),
        ({"kind": "demonstrations"}, "kind: demonstrations, in a model repository"),
        ({"kind": "expert"}, "manifest.json: stage: imitate, publication.json states expert"),
        (
            {"task": "cup-catch"},
            "manifest.json: task: cartpole-balance, publication.json states cup",
        ),
        ({"seed": 1}, "manifest.json: seed: 0, publication.json states 1"),
        ({"seed": -1}, "publication.json: seed: "),
        ({"entry": "../x"}, "publication.json: entry: not a relative path"),
        ({"digest": SHA}, "manifest.json: digest: "),
        (
            {"artifact": "artifacts/agents/x"},
            "artifacts/agents/x: its manifest is that of artifacts",
        ),
        ({"files": {}}, "publication.json: files: "),
        ({"files": None}, "publication.json: files: "),
        ({"lineage": []}, "manifest.json: made from another artifacts/demos/"),
        ({"lineage": ["config.json"]}, "lineage: config.json is no artifact's manifest"),
        ({"release": "\x1b[2J"}, "a control character"),
    ],
)
def test_a_publication_of_something_else_is_refused(
    agent: Repository, changes: dict[str, Any], reason: str
) -> None:
    agent.change(pull.PUBLICATION, **changes)
    assert reason in agent.refused()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, "not a relative path") for name in ("C:/x.csv", "/x.csv", "../x.csv", "nul.csv")),
        *((name, "not a relative path") for name in ("x" * 300 + ".csv", "a\\b.csv", "*.csv", "")),
        ("weights.pkl", "of what cdred publishes all is .csv"),
        ("figures/x.html", "of what cdred publishes all is .csv"),
        ("figures/more.svg", "more.svg: missing"),
        ("more.csv", "more.csv: missing"),
    ],
)
def test_names_are_those_of_harmless_files_below_the_folder(
    agent: Repository, name: str, reason: str
) -> None:
    files = agent.table(pull.PUBLICATION)["files"]
    agent.change(pull.PUBLICATION, files=files | {name: SHA})
    assert reason in agent.refused()


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("manifest.json", {"stage": "expert"}, "manifest.json: stage: expert, publication.json"),
        ("manifest.json", {"task": "cup-catch"}, "manifest.json: task: cup-catch, publication.json"),
        ("manifest.json", {"format": 99}, "manifest.json: format: must be 1 or 2"),
        ("manifest.json", {"files": {}}, "manifest.json: files: "),
        ("manifest.json", {"files": {"curve.csv": SHA}}, "manifest.json: files: lacks config.json"),
        ("manifest.json", {"inputs": {}}, "its manifest names inputs that imitate does not read"),
        ("manifest.json", {"params": {"zeta": 1}}, "manifest.json: its digest does not follow"),
        (EVALUATION, {"params": {"episodes": 1}}, f"{EVALUATION}: its digest does not follow"),
        (EVALUATION, {"task": "cup-catch"}, "its manifest is that of artifacts/evaluations/cup-catch"),
        (LINEAGE.format("experts", "expert"), {"machine": "mine"}, "made from another artifacts/exp"),
        ("evaluation.json", {"return_mean": 1000.0}, "evaluation.json: differs from its manifest"),
        ("config.json", {"task": "cup-catch"}, "config.json: differs from its manifest"),
    ],
)  # fmt: skip
def test_manifests_are_those_of_the_artifact_and_of_all_that_it_was_made_from(
    agent: Repository, name: str, changes: dict[str, Any], reason: str
) -> None:
    agent.change(name, **changes)
    assert reason in agent.refused()


def test_a_file_that_no_manifest_states_is_refused(agent: Repository) -> None:
    agent.write("more.json", {})
    assert "more.json: no manifest states it; refused" in agent.refused()


@pytest.mark.parametrize("damage", ["directory", "fifo", "sparse"])
@pytest.mark.parametrize("name", ["publication.json", "manifest.json"])
def test_a_manifest_that_is_no_file_is_refused(agent: Repository, name: str, damage: str) -> None:
    (agent.folder / name).unlink()
    if damage == "directory":
        (agent.folder / name).mkdir()
    elif damage == "fifo":
        os.mkfifo(agent.folder / name)
    else:
        (agent.folder / name).touch()
        os.truncate(agent.folder / name, 32 * 2**20)
    reason = {"publication.json": "larger than 16 MB"}.get(name, "differs from its hash")
    assert (reason if damage == "sparse" else "not a regular file") in agent.refused()


def _mutate(table: Any, draw: random.Random) -> None:
    """Change, remove or add one thing somewhere in plain data."""
    values = (None, 0, -1, 10**30, 1.5, True, "", "x", "../x", "C:/x", SHA, [], {}, [[]], {"a": {}})
    while True:
        keys = list(table) if isinstance(table, dict) else list(range(len(table)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(table[key], dict | list) and draw.random() < 0.6:
            table = table[key]
            continue
        kind = draw.random()
        if kind < 0.3:
            del table[key]
        elif kind < 0.4 and isinstance(table, dict):
            table[draw.choice(("x", "../x", "y" * 300, "manifest.json"))] = draw.choice(values)
        else:
            table[key] = draw.choice(values)
        return


@pytest.mark.slow
def test_forged_manifests_are_refused_or_change_nothing(agent: Repository) -> None:
    """Each with right hashes: 1,000 changes of a publication or of one of its manifests."""
    draw = random.Random(0)
    names = ["manifest.json", EVALUATION, LINEAGE.format("experts", "expert"), pull.PUBLICATION]
    good = {name: agent.table(name) for name in names}
    passed = 0
    for _ in range(1000):
        name = draw.choice(names)
        changed = copy.deepcopy(good[name])
        _mutate(changed, draw)
        agent.write(name, changed)
        try:
            own = agent.pull().manifest
            identity = ("stage", "task", "entry", "seed", "digest", "params", "inputs", "files")
            assert {k: own[k] for k in identity} == {k: good["manifest.json"][k] for k in identity}
            passed += 1
        except CdredError as exc:
            assert str(exc).isprintable()
        for one in (pull.PUBLICATION, name):
            agent.write(one, good[one])
    assert passed < 400


# ---- the names under which one publishes --------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "entry", "valid"),
    [
        ("cup-catch", "cdred", True),
        ("my_tasks:make", "cdred", True),
        ("cup-catch", "x" * 70, True),
        ("cup-catch", "x" * 100, False),
    ],
)
def test_a_repository_has_a_name_that_the_hub_takes(task: str, entry: str, valid: bool) -> None:
    job = Job("imitate", task, entry, 0, {}, (), (), {})
    one = publish.Repository(job, "lab")
    assert ":" not in one.name
    check: Callable[[], Any] = lambda: publish._named(one)  # noqa: E731
    if valid:
        check()
        return
    with pytest.raises(CdredError, match="not a name of the Hub, which has 96 characters at most"):
        check()


@pytest.mark.parametrize("release", ["v1", "1", "v0.2.0.dev0", "2026-11_a+b", "x" * 100])
def test_a_release_is_a_tag(release: str) -> None:
    publish.check_release(release)


@pytest.mark.parametrize(
    "release",
    ["", "main", "v 1", "v1\tx", "v1/x", "v1..2", "v1.", "v1.lock", "-v", ".v", 'v"1', "v\u00fc", "v1\n",
     "x" * 101, "0123456789" * 4],
)  # fmt: skip
def test_what_moves_or_is_no_tag_is_not_a_release(release: str) -> None:
    with pytest.raises(CdredError, match="not a release"):
        publish.check_release(release)


def test_a_card_says_that_returns_are_unknown() -> None:
    assert (
        cards._returns([None, None]) == "Their returns are unknown, as rewards were not recorded."
    )
    assert cards._returns([1.0, 3.0]).startswith(
        "Mean return 2.0 (95 % interval of the mean 1.0 to 3.0)"
    )
