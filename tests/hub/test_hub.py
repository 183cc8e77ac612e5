"""Publishing and pulling through the real Hub client, against a Hub on loopback that speaks its
protocol."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import yaml
from support import loopback_hub
from support.loopback_hub import Commit, Fault, Hub, User, environment
from support.project import CHECKOUT, Project

from cdred.hub import publish
from cdred.hub.publish import Repository
from cdred.plan import Plan

TASK = "cartpole-balance"
AGENT = f"artifacts/agents/{TASK}/cdred/seed_0"
NAMES = {  # in the order in which they are published
    ("model", f"lab/cdred-{TASK}-expert"),
    ("dataset", f"lab/cdred-{TASK}-expert-2"),
    ("model", f"lab/cdred-{TASK}-cdred-seed-0"),
    ("model", f"lab/cdred-{TASK}-bc-seed-0"),
}
CDRED = f"lab/cdred-{TASK}-cdred-seed-0"
DEMOS = f"lab/cdred-{TASK}-expert-2"


@pytest.fixture(scope="module")
def made(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished experiment with films, its configuration naming who publishes."""
    project = finished.copy(tmp_path_factory.mktemp("hub") / "project")
    project.edit("params.yaml", "video: 0", "video: 5")
    with (project.root / "params.yaml").open("a") as file:
        file.write("hub: {namespace: lab}\n")
    shutil.copy(CHECKOUT / "requirements.lock", project.root)
    project.run("snakemake", "--cores", "2", "--quiet", "all")
    return project


class Client:
    """Runs commands of a project as somebody with a token and a cache of their own."""

    def __init__(self, hub: Hub, project: Project, home: Path) -> None:
        self.hub, self.project, self.home = hub, project, home
        hub.users["secret"] = User("ada", orgs=["lab"])
        self.token: str | None = "secret"

    def run(self, *command: str) -> str:
        return self.project.run(*command, **environment(self.hub, self.token, self.home))

    def refused(self, *command: str) -> str:
        env = environment(self.hub, self.token, self.home)
        done = self.project.attempt(*command, **env)
        assert done.returncode == 2, done.stdout + done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert "secret" not in done.stderr
        return lines[0]


@pytest.fixture
def client(made: Project, tmp_path: Path) -> Iterator[Client]:
    with Hub() as hub:
        yield Client(hub, made, tmp_path / "home")


@pytest.fixture(scope="module")
def published(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Hub() as hub:
        client = Client(hub, made, tmp_path_factory.mktemp("publisher"))
        client.run("cdred", "publish", "--release", "v1")
        yield client


@pytest.fixture
def reader(published: Client, tmp_path: Path) -> Client:
    """Somebody else, without a token, in an empty checkout."""
    project = Project(tmp_path / "elsewhere")
    shutil.copytree(
        published.project.root, project.root,
        ignore=shutil.ignore_patterns("artifacts", "reports", "logs", ".snakemake", ".cdred"),
    )  # fmt: skip
    reader = Client(published.hub, project, tmp_path / "reader")
    reader.token = None
    return reader


def front_matter(card: str) -> dict[str, Any]:
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert match
    return yaml.safe_load(match[1])


def test_a_publication_is_one_commit_and_a_tag_for_each_and_publishing_again_changes_nothing(
    published: Client,
) -> None:
    hub = published.hub
    assert set(hub.repos) == NAMES
    before = {}
    for key, repo in hub.repos.items():
        assert len(repo.commits) == 2, "the Hub's own first one, and ours"
        assert repo.tags == {"v1": repo.commits[-1].oid}
        before[key] = list(repo.commits)
        assert {p.suffix for p in map(Path, repo.files)} <= {
            ".csv", ".hdf5", ".json", ".lock", ".md", ".mp4", ".parquet", ".safetensors", ".svg", ".yaml", "",
        }  # fmt: skip
    output = published.run("cdred", "publish", "--release", "v1")
    assert output.count("unchanged") == 4
    assert {key: repo.commits for key, repo in hub.repos.items()} == before


def test_cards_hold_the_results_as_numbers_and_link_to_each_other(published: Client) -> None:
    files = published.hub.repos["model", CDRED].files
    card = files["README.md"].decode()
    data = front_matter(card)
    assert data["library_name"] == "cdred"
    assert data["datasets"] == [DEMOS]
    assert "arxiv:2505.02228" in data["tags"]
    (index,) = data["model-index"]
    found = {m["type"]: m["value"] for r in index["results"] for m in r["metrics"]}
    evaluation = json.loads(files["evaluation.json"])
    assert found["mean_return"] == pytest.approx(evaluation["return_mean"], abs=1e-3)
    returns = [e["return"] for e in evaluation["episodes"]]
    mean, deviation = map(float, found["mean_reward"].split(" +/- "))
    assert [mean, deviation] == pytest.approx(
        [np.mean(returns), np.std(returns, ddof=1)], abs=0.006
    )
    assert found["episodes"] == len(evaluation["episodes"]) == 2
    assert found["mean_return_95_low"] <= found["mean_return"] <= found["mean_return_95_high"]
    assert {r["dataset"]["type"] for r in index["results"]} == {TASK}
    assert f"https://huggingface.co/datasets/{DEMOS}/tree/v1\n" in card  # what it was made from
    assert f"https://huggingface.co/lab/cdred-{TASK}-expert/tree/v1\n" in card
    assert {"replay.mp4", "params.yaml", "requirements.lock", "manifest.json"} <= set(files)
    expert = f"lineage/artifacts/experts/{TASK}/expert/manifest.json"
    own = (published.project.root / f"artifacts/experts/{TASK}/expert/manifest.json").read_bytes()
    assert files[expert] == own

    assert "It sees the simulator's state and acts by" in card and "| `zeta` | `0.8` |" in card
    assert f"the worst has {min(returns):.1f}" in card and "@article{li2025coupled" in card

    repository = published.hub.repos["dataset", DEMOS].files
    demos = repository["README.md"].decode()
    data = front_matter(demos)
    assert data["license"] == "mit" and data["configs"][0]["data_files"] == "steps.parquet"
    table = pyarrow.parquet.read_table(io.BytesIO(repository["steps.parquet"])).to_pydict()
    episodes = [*csv.DictReader(repository["episodes.csv"].decode().splitlines())]
    for k, episode in enumerate(episodes):
        rows = [i for i, own in enumerate(table["episode"]) if own == k]
        assert len(rows) == int(episode["length"])
        total = sum(table["reward"][i] for i in rows)
        assert total == pytest.approx(float(episode["return"]), rel=1e-5)
    assert len(table["observation"][0]) == 5 and len(table["action"][0]) == 1
    assert f"https://huggingface.co/{CDRED}\n" in demos


def test_a_dry_run_writes_exactly_what_is_uploaded(published: Client, tmp_path: Path) -> None:
    out = tmp_path / "out"
    requests = len(published.hub.requests)
    published.run("cdred", "publish", "--release", "v1", "--dry-run", "--out", str(out))
    assert len(published.hub.requests) == requests
    for (_, name), repo in published.hub.repos.items():
        folder = out / name
        written = {
            f.relative_to(folder).as_posix(): f.read_bytes()
            for f in folder.rglob("*") if f.is_file()
        }  # fmt: skip
        assert written == {k: v for k, v in repo.files.items() if k != ".gitattributes"}


def test_a_dry_run_needs_neither_a_namespace_nor_a_token(client: Client, tmp_path: Path) -> None:
    project = client.project.copy(tmp_path / "copy")
    project.edit("params.yaml", "hub: {namespace: lab}", "")
    output = project.run("cdred", "publish", "--dry-run").splitlines()
    names = {name.replace("lab/", "published/NAMESPACE/") for _, name in NAMES}
    assert set(output) == names
    card = (
        project.root / "published" / CDRED.replace("lab", "NAMESPACE") / "README.md"
    ).read_text()
    assert f"https://huggingface.co/datasets/{DEMOS.replace('lab', 'NAMESPACE')}" in card
    assert "None/" not in card
    assert not client.hub.requests
    # What an interrupted one leaves beside it stands in nobody's way.
    leftover = f".{CDRED.removeprefix('lab/')}.partial"
    (project.root / "published/NAMESPACE" / leftover).mkdir()
    assert set(project.run("cdred", "publish", "--dry-run").splitlines()) == names
    assert not (project.root / "published/NAMESPACE" / leftover).exists()


def test_one_artifact_brings_what_it_was_made_from(client: Client) -> None:
    client.run("cdred", "publish", AGENT)
    bc = ("model", f"lab/cdred-{TASK}-bc-seed-0")
    assert set(client.hub.repos) == NAMES - {bc}


WRITES = ("create$", "validate-yaml", "preupload", "batch$", "/lfs/", "/commit/", "/tag/")


@pytest.mark.parametrize("status", [503, "cut", "lost"])
def test_an_overloaded_hub_is_asked_again(client: Client, status: Any) -> None:
    """Every call fails once, somewhere on the way to one commit and one tag for each."""
    faults = [Fault("POST|PUT", pattern, status, retry_after=0) for pattern in WRITES]
    faults.append(Fault("GET", "whoami", 429, retry_after=0))
    client.hub.faults += faults
    client.run("cdred", "publish", AGENT, "--release", "v1")
    assert {fault.times for fault in faults} == {0}, "each did fail"
    for repo in client.hub.repos.values():
        assert len(repo.commits) == 2
        assert repo.tags == {"v1": repo.commits[-1].oid}


def test_an_interrupted_publication_goes_on(client: Client) -> None:
    """The Hub fails for good in the second repository: each is there whole or not at all."""
    client.hub.faults.append(Fault("POST", "datasets/.*/commit/", 500, times=99))
    output = client.refused("cdred", "publish", AGENT)
    assert "HTTP 500" in output
    assert "the same command goes on" in output
    assert f"published before it: lab/cdred-{TASK}-expert" in output
    assert ("model", CDRED) not in client.hub.repos
    assert set(client.hub.repos["dataset", DEMOS].files) == {".gitattributes"}

    client.hub.faults.clear()
    sent = sum(method == "PUT" for method, _ in client.hub.requests)
    output = client.run("cdred", "publish", AGENT)
    assert output.count("unchanged") == 1
    assert output.count("published") == 2
    again = [path for method, path in client.hub.requests if method == "PUT"][sent:]
    assert again
    assert not any(DEMOS in path for path in again), "what was there is not sent again"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_publication_ends_at_once_by_a_signal_and_goes_on(
    client: Client, tmp_path: Path, number: int
) -> None:
    """While the client's threads upload: they would be waited for."""
    client.hub.faults.append(Fault("PUT", "/lfs/", "silent", times=99))
    aside = tmp_path / "aside"
    aside.mkdir()
    env = environment(client.hub, client.token, client.home) | {"TMPDIR": str(aside)}
    started = client.project.start("cdred", "publish", AGENT, "--release", "v1", **env)
    while not any(method == "PUT" for method, _ in client.hub.requests):
        assert started.poll() is None
        time.sleep(0.05)
    os.killpg(started.pid, number)
    assert started.wait(timeout=20) == 128 + number
    assert not list(aside.iterdir())

    client.hub.faults.clear()
    client.run("cdred", "publish", AGENT, "--release", "v1")
    for repo in client.hub.repos.values():
        assert repo.tags == {"v1": repo.commits[-1].oid} and len(repo.commits) == 2


def test_a_release_that_somebody_else_makes_meanwhile_is_not_taken_for_ours(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(hub: Hub, ask: Any) -> Any:
        repo = hub._repo(ask)
        repo.tags["v1"] = repo.commits[0].oid
        return Hub._tag(hub, ask)

    routes = [(m, path, too_late if f is Hub._tag else f) for m, path, f in loopback_hub.ROUTES]
    monkeypatch.setattr(loopback_hub, "ROUTES", routes)
    line = client.refused("cdred", "publish", AGENT, "--release", "v1")
    assert "release v1 was made by somebody else meanwhile; name another by --release" in line


def test_two_artifacts_never_become_one_repository(client: Client, tmp_path: Path) -> None:
    project = client.project = client.project.copy(tmp_path / "copy")
    client.run("cdred", "publish", AGENT, "--release", "v1")
    repo, expert = (
        client.hub.repos["model", f"lab/cdred-{TASK}-{x}"] for x in ("cdred-seed-0", "expert")
    )
    repo.commits[-1] = Commit(repo.commits[-1].oid, "another's", expert.files)
    line = client.refused("cdred", "publish", AGENT, "--release", "v2")
    assert (
        f"{CDRED}: a model of this name is there that holds artifacts/experts/{TASK}/expert" in line
    )

    params = yaml.safe_load((project.root / "params.yaml").read_text())
    params["experts"]["cdred-seed-0"] = params["experts"].pop("expert")
    params["demos"]["expert-2"]["expert"] = "cdred-seed-0"
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    line = client.refused("cdred", "publish", "--dry-run")
    assert f"artifacts/experts/{TASK}/cdred-seed-0 and {AGENT} would both be {CDRED}" in line
    assert "rename an entry" in line and not (project.root / "published").exists()


def test_what_stands_in_the_way_of_publishing_is_said_before_anything_is_uploaded(
    client: Client, tmp_path: Path
) -> None:
    hub = client.hub
    client.token = None
    assert "set HF_TOKEN" in client.refused("cdred", "publish")
    client.token = "unknown"
    assert "token is missing or not valid" in client.refused("cdred", "publish")
    client.token = "secret"
    hub.users["secret"] = User("ada")
    assert "may not write there (HTTP 403)" in client.refused("cdred", "publish")
    hub.users["secret"] = User("ada", orgs=["lab"])
    assert not hub.repos
    assert "--release main: not a release" in client.refused(
        "cdred", "publish", "--release", "main"
    )
    assert "no meaning without --dry-run" in client.refused("cdred", "publish", "--out", "x")
    line = client.refused("cdred", "publish", "--dry-run", "--out", "params.yaml")
    assert "--out params.yaml: not a directory" in line
    assert "artifacts/nothing: not an expert" in client.refused(
        "cdred", "publish", "artifacts/nothing"
    )

    client.run("cdred", "publish", AGENT, "--release", "v1")
    repo = hub.repos["model", CDRED]
    own = repo.commits[:]
    changed = repo.files | {"publication.json": b"{}"}
    repo.commits[-1] = Commit(own[-1].oid, "by hand", changed)
    output = client.refused("cdred", "publish", "--release", "v1")
    assert f"{CDRED}: release v1 is there with other contents" in output
    repo.commits[:] = [Commit(own[0].oid, "theirs", {"model.bin": b"theirs"})]
    repo.tags.clear()
    output = client.refused("cdred", "publish", "--release", "v2")
    assert f"{CDRED}: a model of this name is there that cdred did not publish" in output
    assert ("model", f"lab/cdred-{TASK}-bc-seed-0") not in hub.repos


def test_a_result_that_is_not_up_to_date_or_damaged_is_not_published(
    client: Client, tmp_path: Path
) -> None:
    shutil.copytree(client.project.root, tmp_path / "copy")
    client.project = Project(tmp_path / "copy")
    file = client.project.root / AGENT / "curve.csv"
    text = file.read_text()
    file.write_text(text + "\n")
    assert "curve.csv: damaged" in client.refused("cdred", "publish")
    file.write_text(text)
    client.project.edit("params.yaml", "hub: {namespace: lab}", "")
    assert "hub.namespace: missing" in client.refused("cdred", "publish")
    client.project.edit("params.yaml", "video: 5", "video: 6")
    with (client.project.root / "params.yaml").open("a") as params:
        params.write("hub: {namespace: lab}\n")
    assert "not up to date" in client.refused("cdred", "publish")
    assert not client.hub.requests


EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_cards_examples_run_from_an_empty_folder(reader: Client, tmp_path: Path) -> None:
    """As printed on both cards: an episode with its film, a Minari dataset."""
    for (kind, name), shown in (
        (("model", CDRED), "print(len(episode.action))"),
        (("dataset", DEMOS), "print(dataset.total_episodes, dataset.total_steps)"),
    ):
        match = EXAMPLE.search(reader.hub.repos[kind, name].files["README.md"].decode())
        assert match
        assert len(match[1].strip().splitlines()) <= 5
        (tmp_path / "example.py").write_text(f"{match[1]}\n{shown}\n")
        output = reader.run("python", str(tmp_path / "example.py")).split()
        assert output[-1] == {"model": "500", "dataset": "1000"}[kind]
    assert (reader.project.root / "episode.mp4").stat().st_size > 1000


def test_what_was_pulled_needs_no_network_and_says_its_revision(
    reader: Client, published: Client
) -> None:
    output = reader.run("cdred", "pull", f"{CDRED}@v1")
    commit = published.hub.repos["model", CDRED].tags["v1"]
    assert f"revision    {commit}" in output
    hub, reader.hub = reader.hub, Hub()
    reader.hub.endpoint = "http://127.0.0.1:9"  # nobody listens
    for revision in ("v1", commit):
        assert commit in reader.run("cdred", "pull", f"{CDRED}@{revision}")
    output = reader.refused("env", "HF_HUB_OFFLINE=1", "cdred", "pull", f"{DEMOS}@v1", "--dataset")
    assert "not here yet, and http://127.0.0.1:9 cannot be reached" in output
    reader.hub = hub


def test_the_cards_numbers_are_reproduced(reader: Client, published: Client) -> None:
    output = reader.run("cdred", "evaluate", "--checkpoint", f"{CDRED}@v1")
    assert "all 2 episodes exactly" in output


def test_a_pulled_repository_that_is_not_what_it_says_is_refused(
    reader: Client, published: Client
) -> None:
    hub, repo = published.hub, published.hub.repos["model", CDRED]
    good, changed = dict(repo.files), bytearray(repo.files["model.safetensors"])
    changed[-1] ^= 1
    without = {k: v for k, v in good.items() if k != "publication.json"}
    for files, reason in (
        (without, "has no publication.json: not published by cdred"),
        (good | {"pytorch_model.bin": b"pickle"}, "pytorch_model.bin: not listed"),
        (good | {"model.safetensors": bytes(changed)}, "model.safetensors: differs from its hash"),
    ):
        hub.repos["model", "lab/other"] = other = type(repo)("model", "lab/other")
        other.commit("as it is", files)
        assert reason in reader.refused("cdred", "pull", "lab/other")
    loaded = "import cdred\ntry: cdred.Agent.from_pretrained('lab/other')\n"
    caught = "except cdred.errors.CdredError as error: print('refused:', error)"
    output = reader.run("python", "-c", f"import cdred.errors\n{loaded}{caught}")
    assert "refused:" in output and reason in output
    del hub.repos["model", "lab/other"]
    assert "has no such branch, tag or commit" in reader.refused("cdred", "pull", f"{CDRED}@v9")
    assert "no such model is there for you" in reader.refused("cdred", "pull", DEMOS)
    assert "not the name of a repository" in reader.refused("cdred", "pull", "a/b/c")


def test_pulled_experts_and_demonstrations_stand_in_for_the_stages_that_make_them(
    reader: Client, published: Client
) -> None:
    """Starting in the middle: somebody's demonstrations, and an expert to compare with."""
    project, hub = reader.project, published.hub
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    commits = {name: hub.repos[key].tags["v1"] for key in NAMES for name in [key[1]]}
    expert = f"lab/cdred-{TASK}-expert"
    params["experts"] = {
        "expert": {"source": "hub", "checkpoint": expert, "revision": commits[expert]}
    }
    params["demos"]["theirs"] = {
        "source": "hub", "path": DEMOS, "revision": commits[DEMOS], "episodes": 2
    }  # fmt: skip
    params["runs"]["cdred"]["demos"] = "theirs"
    params["runs"].pop("bc")
    params["experiment"]["runs"] = ["cdred"]
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    reader.run("cdred", "demos", "--task", TASK, "--demos", "theirs", "--quiet")
    reader.run("cdred", "imitate", "--task", TASK, "--run", "cdred", "--seed", "0", "--quiet")
    own = published.project.root
    weights = f"{AGENT}/pretrained_model/model.safetensors"
    assert (project.root / weights).read_bytes() == (own / weights).read_bytes()
    assert (
        project.manifest(f"artifacts/demos/{TASK}/theirs")["params"]["revision"] == commits[DEMOS]
    )
    plan = Plan.load(project.root)
    agent = next(job for job in plan.jobs if job.stage == "imitate")
    links = {name: one.url for name, one in publish._links(plan, Repository(agent, "me"), "v1")}
    of_commit = f"https://huggingface.co/datasets/{DEMOS}/tree/{commits[DEMOS]}"
    assert links == {"demonstrations": of_commit}
    there = f"artifacts/demos/{TASK}/theirs"
    line = reader.refused("cdred", "publish", "--dry-run", there)
    assert line == f"cdred: {there}: not to be published: it came from the Hub, {DEMOS}"

    params["runs"]["cdred"]["demos"] = "expert-2"
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    here = project.root / expert  # what lies here by that name is another
    shutil.copytree(project.root / AGENT / "pretrained_model", here)
    reader.run("cdred", "expert", "--task", TASK, "--expert", "expert", "--quiet")
    weights = f"artifacts/experts/{TASK}/expert/pretrained_model/model.safetensors"
    assert (project.root / weights).read_bytes() == (own / weights).read_bytes()
    loaded = f"import cdred; print(cdred.Agent.from_pretrained({expert!r}"
    assert "cdred\n" in reader.run("python", "-c", f"{loaded}).method)")
    assert "true_reward\n" in reader.run("python", "-c", f"{loaded}, revision='v1').method)")
    shutil.rmtree(here)
    assert "up to date  artifacts/experts" in project.run("cdred", "status")

    params["experts"]["expert"]["revision"] = "v1"
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    output = reader.refused("cdred", "check")
    assert "experts.expert.revision: v1: the 40 hexadecimal digits of a commit" in output
