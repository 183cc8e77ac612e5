"""One opinion of what is up to date, whatever happens to a checkout: digests decide, nothing else.

Stages are stand-ins that compute nothing; manifests, locks and both engines are the real ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.forked import until
from support.sandbox import AGENT, ALL, CODE, DEMOS, EVALUATIONS, EXPERT, REPORT, TASK, Sandbox

DAY = 86400.0
ENGINES = ("snakemake", "dvc")


def is_whole(sandbox: Sandbox, reference: Sandbox) -> None:
    """Everything is up to date by three opinions, and has the bytes of the reference."""
    assert sandbox.agreed() == set()
    assert sandbox.contents() == reference.contents()


def test_each_engine_makes_the_same(made: Sandbox, fresh: Sandbox, tmp_path: Path) -> None:
    by_dvc = fresh.copy(tmp_path / "project")
    assert by_dvc.make("dvc") == ALL
    is_whole(by_dvc, made)
    assert by_dvc.make("snakemake") == set()


def test_after_either_engine_the_other_has_nothing_to_do(mine: Sandbox, made: Sandbox) -> None:
    for engine, seed in zip(ENGINES, "78", strict=True):
        mine.edit("params.yaml", "seed: 0\n  video", f"seed: {seed}\n  video")
        assert mine.make(engine) == EVALUATIONS | {REPORT}
        assert [mine.make(other) for other in ENGINES] == [set(), set()]
        mine.edit("params.yaml", f"seed: {seed}\n  video", "seed: 0\n  video")
        assert mine.make("dvc") == set()  # restored
        is_whole(mine, made)


# ---- the cases that were seen to go wrong, by name ----------------------------------------------


def times_in_the_future(sandbox: Sandbox) -> None:
    sandbox.touch(".", DAY)


def times_in_the_past(sandbox: Sandbox) -> None:
    sandbox.touch(".", -DAY)


def future_times_no_metadata_and_a_changed_parameter(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.root / ".snakemake")
    sandbox.edit("params.yaml", "episodes: 2", "episodes: 22")
    sandbox.edit("params.yaml", "  seed: 0\n  video", "  seed: 1\n  video")
    sandbox.edit("params.yaml", "episodes: 22", "episodes: 2")
    sandbox.touch(".", DAY)


def everything_deleted_by_snakemake(sandbox: Sandbox) -> None:
    sandbox.run("snakemake", "--delete-all-output", "--cores", "1")


def a_manifest_emptied(sandbox: Sandbox) -> None:
    (sandbox.root / AGENT / "manifest.json").write_text("")


def a_manifest_emptied_that_was_pulled(sandbox: Sandbox) -> None:
    """Nothing here wrote it: a clone that pulled."""
    shutil.rmtree(sandbox.root / ".cdred")
    (sandbox.root / AGENT / "manifest.json").write_text("")


def a_file_deleted(sandbox: Sandbox) -> None:
    (sandbox.root / EXPERT / "data.txt").unlink()


def an_intermediate_deleted(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.root / DEMOS)


def the_markers_deleted(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.root / ".cdred/made")


def a_backup_file_in_a_code_folder(sandbox: Sandbox) -> None:
    shutil.copy(sandbox.root / CODE, sandbox.root / f"{CODE}~")
    (sandbox.root / "cdred/learning/.#world_model.py").write_text("x = (")
    (sandbox.root / "cdred/learning/unused.py").write_text("x = 1\n")
    (sandbox.root / "cdred/report/templates/page.html.j2~").write_text("x")


def a_comment_and_a_docstring(sandbox: Sandbox) -> None:
    text = (sandbox.root / CODE).read_text()
    first = text.index('"""')
    (sandbox.root / CODE).write_text(f'{text[:first]}"""Other words. {text[first + 3 :]}\n# More\n')


def dvc_killed_while_it_wrote_its_own_files(sandbox: Sandbox) -> None:
    (sandbox.root / ".dvc/tmp/rwlock").write_text("")
    text = (sandbox.root / "dvc.lock").read_text()
    (sandbox.root / "dvc.lock").write_text(text[: text.index(":", 500) - 3])


def all_processes_killed_while_one_was_put_in_place(sandbox: Sandbox) -> None:
    old = sandbox.root / AGENT
    old.rename(old.with_name(".seed_0.old"))


CASES = [
    (times_in_the_future, set()),
    (times_in_the_past, set()),
    (everything_deleted_by_snakemake, {REPORT}),
    (a_manifest_emptied, {AGENT}),
    (a_manifest_emptied_that_was_pulled, {AGENT}),
    (a_file_deleted, {EXPERT}),
    (an_intermediate_deleted, {DEMOS}),
    (the_markers_deleted, set()),
    (a_backup_file_in_a_code_folder, set()),
    (a_comment_and_a_docstring, set()),
    (all_processes_killed_while_one_was_put_in_place, {AGENT}),
    (dvc_killed_while_it_wrote_its_own_files, set()),
]


def by_turns() -> Iterator[object]:
    """Each case by one engine or the other; by both is slow."""
    for k, (happens, stale) in enumerate(CASES):
        for engine in ENGINES:
            marks = [] if ENGINES[k % 2] == engine else [pytest.mark.slow]
            yield pytest.param(
                happens, stale, engine, id=f"{happens.__name__}-{engine}", marks=marks
            )


@pytest.mark.parametrize(("happens", "stale", "engine"), [*by_turns()])
def test_after(
    happens: Callable[[Sandbox], object], stale: set[str], engine: str, mine: Sandbox, made: Sandbox
) -> None:
    happens(mine)
    if engine == "snakemake":
        assert mine.stale() == {"cdred": stale, "snakemake": stale}
        assert mine.make("snakemake") == stale
    else:
        assert mine.make("dvc") <= stale  # or restored from DVC's cache
    is_whole(mine, made)


def test_after_a_parameter_changed_where_times_are_in_the_future(mine: Sandbox) -> None:
    future_times_no_metadata_and_a_changed_parameter(mine)
    assert mine.agreed() == EVALUATIONS | {REPORT}
    assert mine.make("snakemake") == EVALUATIONS | {REPORT}
    assert mine.agreed() == set()


@pytest.mark.parametrize("engine", [pytest.param("snakemake", marks=pytest.mark.slow), "dvc"])
def test_a_copy_of_the_checkout(engine: str, mine: Sandbox, made: Sandbox, tmp_path: Path) -> None:
    copy = mine.copy(tmp_path / "copy")
    is_whole(copy, made)
    assert copy.make(engine) == set()
    shutil.rmtree(copy.root / EXPERT)
    again = copy.copy(tmp_path / "again")
    assert again.make("snakemake") == {EXPERT}
    is_whole(again, made)


@pytest.mark.parametrize(
    "signum",
    [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_ends_while_its_stage_finishes(
    engine: str, signum: int, fresh: Sandbox, made: Sandbox, tmp_path: Path
) -> None:
    sandbox = fresh.copy(tmp_path / "project")
    program = sandbox.start(*sandbox.engine(engine), seconds=1, after=0.5)
    until(sandbox.orphans)
    program.kill(signum, group=False)
    program.wait()
    sandbox.attempt(*sandbox.engine(engine))  # at once: refused by the lock, or late enough
    sandbox.wait_for_orphans()
    sandbox.run(*sandbox.engine(engine))
    is_whole(sandbox, made)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stage_killed_when_its_artifact_is_in_place(
    engine: str, fresh: Sandbox, made: Sandbox, tmp_path: Path
) -> None:
    sandbox = fresh.copy(tmp_path / "project")
    program = sandbox.start(*sandbox.engine(engine), after=30)
    until((sandbox.root / EXPERT / "manifest.json").exists)
    until(sandbox.orphans)
    for pid in sandbox.orphans():
        os.kill(pid, signal.SIGKILL)
    assert program.wait() != 0
    sandbox.run(*sandbox.engine(engine))
    is_whole(sandbox, made)


def test_artifacts_behind_a_symbolic_link(fresh: Sandbox, made: Sandbox, tmp_path: Path) -> None:
    """Snakemake does not mind; DVC would stop in the midst of it."""
    sandbox = fresh.copy(tmp_path / "project")
    (tmp_path / "large disk").mkdir()
    (sandbox.root / "artifacts").symlink_to(tmp_path / "large disk")
    assert sandbox.make("snakemake") == ALL
    assert sandbox.contents() == made.contents()
    (sandbox.root / AGENT / "manifest.json").write_text("")
    sandbox.run("snakemake", "--delete-all-output", "--cores", "1")
    assert sandbox.make("snakemake") == {AGENT, REPORT}
    assert sandbox.contents() == made.contents()
    for command in ("repro", "status"):
        status, text = sandbox.attempt("dvc", command)
        assert status == 2 and text.startswith("cdred: artifacts: a symbolic link, which DVC does")


@pytest.mark.parametrize("engine", ["snakemake", pytest.param("dvc", marks=pytest.mark.slow)])
def test_without_git(engine: str, bin: Path, made: Sandbox, tmp_path: Path) -> None:
    sandbox = Sandbox.create(tmp_path / "project", bin, git=False)
    assert sandbox.make(engine) == ALL
    is_whole(sandbox, made)
    (sandbox.root / AGENT / "manifest.json").write_text("")
    assert sandbox.make(engine) <= {AGENT}
    is_whole(sandbox, made)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("snakemake", "snakemake"),
        ("dvc", "snakemake"),
        pytest.param("snakemake", "dvc", marks=pytest.mark.slow),
        pytest.param("dvc", "dvc", marks=pytest.mark.slow),
    ],
)
def test_two_users_engines(
    first: str, second: str, fresh: Sandbox, made: Sandbox, tmp_path: Path
) -> None:
    """The second is refused; what each of them leaves is right."""
    sandbox = fresh.copy(tmp_path / "project")
    program = sandbox.start(*sandbox.engine(first), seconds=1)
    until(sandbox.orphans)
    status, text = sandbox.attempt(*sandbox.engine(second))
    assert status == 2 and "another Snakemake or `dvc repro` runs in this checkout" in text
    program.wait()
    sandbox.wait_for_orphans()
    for engine in (second, first):
        sandbox.run(*sandbox.engine(engine))
        is_whole(sandbox, made)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user, whom only root can become")
def test_a_second_user_goes_on_where_the_first_one_was(mine: Sandbox, made: Sandbox) -> None:
    """Files of another owner: their times cannot be set, only they can be replaced."""
    for path in [mine.root, *mine.root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o666 | (0o111 if path.is_dir() else 0))
    mine.touch(".cdred/made", DAY)
    markers = [p for p in (mine.root / ".cdred/made").rglob("*") if p.is_file()]
    for marker in markers:
        os.chown(marker, 12345, 12345)
    assert mine.make("snakemake") == set()
    assert {marker.stat().st_uid for marker in markers} == {0}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_this_tool_never_wrote_is_refused_untouched(engine: str, mine: Sandbox) -> None:
    (mine.root / AGENT / "manifest.json").write_text("")
    (mine.root / AGENT / "thesis.txt").write_text("precious")
    status, text = mine.attempt(*mine.engine(engine))
    assert status == 2
    assert f"cdred: {AGENT}: exists and was not made by cdred; move it away" in text
    assert (mine.root / AGENT / "thesis.txt").read_text() == "precious"
    shutil.rmtree(mine.root / AGENT)
    (mine.root / AGENT).mkdir()
    (mine.root / AGENT / "thesis.txt").write_text("precious")
    assert mine.attempt(*mine.engine(engine))[0] == 2
    assert (mine.root / AGENT / "thesis.txt").read_text() == "precious"


def test_an_experiment_of_dvc_runs_by_its_own_digests(mine: Sandbox, made: Sandbox) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["add", "-A"], ["commit", "-qm", "t"]):
        subprocess.run([*git, *command], cwd=mine.root, check=True)
    mine.ran()
    mine.run("dvc", "exp", "run", "-S", "runs.bc.steps=49")
    changed = {AGENT, f"artifacts/evaluations/{TASK}/bc/seed_0", REPORT}
    assert mine.ran() == changed
    assert mine.agreed() == set()
    assert [mine.make(engine) for engine in ENGINES] == [set(), set()]
    mine.edit("params.yaml", "steps: 49", "steps: 50")
    assert mine.agreed() == changed
    assert mine.make("dvc") == set()  # restored
    is_whole(mine, made)


# ---- any sequence -------------------------------------------------------------------------------

FOLDERS = ("artifacts", ".cdred", ".snakemake", ".")
EPISODES = ("  episodes: 2\n  seed: 0", "  episodes: 3\n  seed: 0")
STEPS = ("    steps: 50\n", "    steps: 49\n")
MATTERS, COMMENT = "\nCHANGED = 1\n", "\n# changed\n"

engines = st.sampled_from(ENGINES)
steps = st.one_of(
    st.tuples(st.just("run"), engines, st.booleans()),
    st.tuples(
        st.just("kill"), engines, st.sampled_from(["stage", "engine", "both"]),
        st.sampled_from([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]), st.floats(0, 1),
        st.sampled_from([0.0, 0.4]),
    ),
    st.tuples(st.just("touch"), st.sampled_from(FOLDERS), st.sampled_from([-DAY, 0.0, DAY])),
    st.tuples(st.just("copy")),
    st.tuples(st.just("delete"), st.sampled_from(["file", "artifact"]), st.integers(0, 1000)),
    st.tuples(st.just("empty"), st.integers(0, 1000)),
    st.tuples(
        st.just("dvc"), st.sampled_from(["push", "pull", "checkout --force", "gc --workspace --force"]),
    ),
    st.tuples(
        st.just("snakemake"), st.sampled_from(["--delete-all-output", "--touch", "--unlock"])
    ),
    st.tuples(st.just("toggle"), st.sampled_from(["episodes", "steps", "code", "comment"])),
)  # fmt: skip


class Story:
    """A project to which the steps of a sequence happen, one after another."""

    def __init__(self, sandbox: Sandbox, references: References) -> None:
        self.sandbox, self.references = sandbox, references
        self.copies = 0

    def happen(self, step: tuple) -> None:
        getattr(self, step[0])(*step[1:])

    def run(self, engine: str, patient: bool) -> None:
        if patient:
            self.sandbox.wait_for_orphans()
        alone = not self.sandbox.orphans()
        status, text = self.sandbox.attempt(*self.sandbox.engine(engine))
        assert status == 0 or not alone, f"{engine}: {status}: {text[-3000:]}"
        if status == 0:
            self.check()

    def check(self) -> None:
        is_whole(self.sandbox, self.references.of(self.sandbox))

    def kill(self, engine: str, target: str, signum: int, when: float, after: float) -> None:
        command = self.sandbox.engine(engine)
        if self.sandbox.interrupt(command, target, signum, when, after) == 0:
            self.check()

    def touch(self, folder: str, seconds: float) -> None:
        self.sandbox.touch(folder, seconds)

    def copy(self) -> None:
        self.sandbox.wait_for_orphans()
        self.copies += 1
        self.sandbox = self.sandbox.copy(self.sandbox.root.with_name(f"copy{self.copies}"))

    def delete(self, what: str, which: int) -> None:
        if files := self.sandbox.files():
            file = files[which % len(files)]
            if what == "file":
                file.unlink()
            else:
                shutil.rmtree(file.parent)

    def empty(self, which: int) -> None:
        manifests = [file for file in self.sandbox.files() if file.name == "manifest.json"]
        if manifests:
            file = manifests[which % len(manifests)]
            file.unlink()  # DVC may have linked it
            file.write_text("")

    def dvc(self, command: str) -> None:
        self.sandbox.attempt("dvc", *command.split())

    def snakemake(self, option: str) -> None:
        self.sandbox.attempt("snakemake", "--cores", "1", option)

    def toggle(self, what: str) -> None:
        name = "params.yaml" if what in ("episodes", "steps") else CODE
        pair = {"episodes": EPISODES, "steps": STEPS}.get(what)
        text = (self.sandbox.root / name).read_text()
        if pair is not None:
            old, new = pair if pair[0] in text else pair[::-1]
            self.sandbox.edit(name, old, new)
            return
        addition = MATTERS if what == "code" else COMMENT
        if addition in text:
            self.sandbox.edit(name, addition, "")
        else:
            self.sandbox.append(name, addition)


class References:
    """The artifacts of each state of parameters and code in a checkout to which nothing happens."""

    def __init__(self, fresh: Sandbox, folder: Path) -> None:
        self.fresh, self.folder = fresh, folder
        self._known: dict[str, Sandbox] = {}

    def of(self, sandbox: Sandbox) -> Sandbox:
        names = ("params.yaml", CODE)
        texts = [(sandbox.root / name).read_text().replace(COMMENT, "") for name in names]
        key = "".join(texts)
        if key not in self._known:
            clean = self.fresh.copy(self.folder / str(len(self._known)))
            for name, text in zip(names, texts, strict=True):
                (clean.root / name).write_text(text)
            clean.run("snakemake", "--cores", "2")
            self._known[key] = clean
        return self._known[key]


@pytest.fixture(scope="session")
def references(fresh: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> References:
    return References(fresh, tmp_path_factory.mktemp("references"))


def tell(
    sequence: list[tuple], begun: bool, made: Sandbox, fresh: Sandbox, references: References,
    folder: Path,
) -> None:  # fmt: skip
    """Let a sequence happen; then either engine brings everything up to date, the other agrees."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "remote").mkdir()
    source = made if begun else fresh
    shutil.copytree(source.root, folder / "project", symlinks=True)
    story = Story(Sandbox(folder / "project", source.bin), references)
    for step in sequence:
        story.happen(step)
    for engine in ("snakemake", "dvc") if len(sequence) % 2 else ("dvc", "snakemake"):
        story.run(engine, patient=True)


sequences = given(sequence=st.lists(steps, min_size=2, max_size=7), begun=st.booleans())
unhurried = {
    "deadline": None, "database": None, "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": list(HealthCheck),
}  # fmt: skip


@sequences
@settings(max_examples=2, derandomize=True, **unhurried)
def test_any_sequence(
    made: Sandbox, fresh: Sandbox, references: References, tmp_path_factory: pytest.TempPathFactory,
    sequence: list[tuple], begun: bool,
) -> None:  # fmt: skip
    folder = tmp_path_factory.getbasetemp() / "story"
    tell(sequence, begun, made, fresh, references, folder)


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@sequences
@settings(max_examples=200, **unhurried)
def test_any_of_two_hundred_sequences(
    made: Sandbox, fresh: Sandbox, references: References, tmp_path_factory: pytest.TempPathFactory,
    sequence: list[tuple], begun: bool,
) -> None:  # fmt: skip
    folder = tmp_path_factory.getbasetemp() / "story"
    tell(sequence, begun, made, fresh, references, folder)
