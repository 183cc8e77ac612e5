"""A throw-away project at toy size, and running commands in it."""

from __future__ import annotations

import compileall
import csv
import functools
import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from support.forked import Program

CHECKOUT = Path(__file__).resolve().parents[2]
SIF = CHECKOUT / "cdred.sif"
SHIPPED = (
    "cdred", "config", "profiles", "workflow", "Snakefile", ".dvcignore", "pyproject.toml",
)  # fmt: skip
BIN = Path(sys.executable).parent
FORKED = ("cdred", "snakemake", "dvc")
IGNORED = ".cdred/\n.snakemake/\nlogs/\n__pycache__/\n/digests.yaml\n"


def environment(root: Path, bin: Path) -> dict[str, str]:
    """Variables for a project's programs, which are those of `bin`."""
    return os.environ | {
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),  # the project's own code, not the installed checkout
        "DVC_NO_ANALYTICS": "1",
        "NO_COLOR": "1",
    }


def ship(root: Path) -> None:
    """Copy the checkout's code and workflow, and compile the former: tests start many processes."""
    root.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    # By the hash of the source, not its time: tests change it twice in a second.
    by_hash = py_compile.PycInvalidationMode.CHECKED_HASH
    assert compileall.compile_dir(root / "cdred", quiet=2, invalidation_mode=by_hash)


@functools.cache
def _template(experiment: str) -> tempfile.TemporaryDirectory[str]:
    """A project that each of an experiment starts as a copy of."""
    folder = tempfile.TemporaryDirectory(prefix="cdred-project-")
    root = Path(folder.name)
    ship(root)
    project = Project(root)
    (root / ".gitignore").write_text(IGNORED)
    project.run("git", "init", "-q", ".")
    project.run("dvc", "init", "-q")
    project.run("cdred", "use", experiment)
    return folder


class Project:
    """A copy of the checkout's code and workflow with an experiment of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[Path, int] = {}

    @classmethod
    def create(cls, root: Path, experiment: str = "config/toy.yaml") -> Project:
        shutil.copytree(_template(experiment).name, root, symlinks=True)
        return cls(root)

    def copy(self, root: Path, *tops: str) -> Project:
        """A copy; with `tops`, of what was made it has these folders of artifacts alone."""
        shutil.copytree(self.root, root, symlinks=True)
        if tops:
            made = [root / name for name in ("reports", ".cdred", ".snakemake")]
            made += [path for top in ("artifacts", "logs") for path in (root / top).iterdir()]
            for path in made:
                if path.name not in tops:
                    shutil.rmtree(path)
        return Project(root)

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.root, BIN)

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this checkout's environment in the project. Its own programs are forked
        from a process that has imported what they need, unless they are to import it otherwise."""
        env = self.environment | environment
        if command[0] not in FORKED or "PYTHONPATH" in environment:
            return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True)
        with tempfile.TemporaryDirectory() as folder:
            output, errors = Path(folder) / "output", Path(folder) / "errors"
            program = Program(self.root, *command, environment=env, output=output, errors=errors)
            status = program.wait()
            return subprocess.CompletedProcess(
                command, status, output.read_text(), errors.read_text()
            )

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Start a command as the leader of a process group of its own, as a terminal does: what runs
        the tests in the background may ignore interrupts, which would be inherited."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment | environment, start_new_session=True,
            stdout=quiet, stderr=quiet,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def run(self, *command: str, **environment: str) -> str:
        """As `attempt`, but failing the test when the command fails; its output."""
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def save(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "t")

    def edit(self, name: str, old: str, new: str, count: int = -1) -> None:
        """Replace `old`, its first `count` places or all of them."""
        text = (self.root / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        (self.root / name).write_text(text.replace(old, new, count))

    def manifest(self, artifact: str) -> dict:
        return json.loads((self.root / artifact / "manifest.json").read_text())

    def table(self, file: str) -> list[dict[str, str]]:
        with (self.root / file).open(newline="") as source:
            return list(csv.DictReader(source))

    def ran(self) -> set[str]:
        """The jobs that were completed since the last call, as `stage/.../name`."""
        found = set()
        for file in (self.root / "logs").rglob("runtime.jsonl"):
            lines = file.read_text().count('"event": "end"')
            if lines > self._seen.get(file, 0):
                found.add(file.parent.relative_to(self.root / "logs").as_posix())
            self._seen[file] = lines
        return found
