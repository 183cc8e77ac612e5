"""A project whose stages compute nothing, and all that can happen to it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from support import project
from support.forked import Program, until
from support.standin import RAN

IGNORED = f"{project.IGNORED}/.*.out\n/ran.log\n"
# A file of code that every agent depends on.
CODE = "cdred/learning/world_model.py"
# What the sandbox makes.
TASK = "cartpole-balance"
EXPERT, DEMOS = f"artifacts/experts/{TASK}/expert", f"artifacts/demos/{TASK}/expert-2"
AGENT = f"artifacts/agents/{TASK}/bc/seed_0"
EVALUATIONS = {f"artifacts/evaluations/{TASK}/{name}/seed_0" for name in ("expert", "bc")}
REPORT = "reports/toy"
ALL = {EXPERT, DEMOS, AGENT, REPORT} | EVALUATIONS
OVERLAY = """\
extends: toy.yaml
experiment: {name: toy, runs: [bc]}
"""


class Sandbox:
    """A copy of the checkout's code with the toy experiment of one agent: six jobs."""

    def __init__(self, root: Path, bin: Path) -> None:
        self.root, self.bin = root, bin
        self._lines = 0

    @classmethod
    def create(cls, root: Path, bin: Path, overlay: str = OVERLAY, git: bool = True) -> Sandbox:
        project.ship(root)
        (root / ".gitignore").write_text(IGNORED)
        (root / "config/sandbox.yaml").write_text(overlay)
        sandbox = cls(root, bin)
        if git:
            subprocess.run(["git", "init", "-q", root], check=True)
        sandbox.run("dvc", "init", "-q", *([] if git else ["--no-scm"]))
        sandbox.run("cdred", "use", "config/sandbox.yaml")
        sandbox.run("dvc", "remote", "add", "-q", "-d", "lab", "../remote")
        return sandbox

    def copy(self, root: Path) -> Sandbox:
        """`cp -r`: everything gets the time of now."""
        subprocess.run(["cp", "-r", self.root, root], check=True)
        return Sandbox(root, self.bin)

    # ---- commands -------------------------------------------------------------------------------

    def start(self, *command: str, seconds: float = 0, after: float = 0) -> Program:
        """Start a program whose stages take `seconds` to work and linger `after` they are done."""
        slow = {"STANDIN_SECONDS": str(seconds), "STANDIN_AFTER": str(after)}
        return Program(
            self.root, *command, environment=project.environment(self.root, self.bin) | slow,
            output=self.root / f".{command[0]}.out", cdred="support.standin",
        )  # fmt: skip

    def attempt(self, *command: str, **durations: float) -> tuple[int, str]:
        program = self.start(*command, **durations)
        return program.wait(), program.text

    def run(self, *command: str, **durations: float) -> str:
        status, text = self.attempt(*command, **durations)
        assert status == 0, f"{command}: {status}: {text[-3000:]}"
        return text

    def engine(self, name: str) -> tuple[str, ...]:
        return ("snakemake", "--cores", "2") if name == "snakemake" else ("dvc", "repro")

    def make(self, engine: str) -> set[str]:
        """Run an engine to its end; the artifacts that it made."""
        self.ran()
        self.run(*self.engine(engine))
        return self.ran()

    def ran(self) -> set[str]:
        """The artifacts that were put in place since the last call."""
        file = self.root / RAN
        lines = file.read_text().splitlines() if file.exists() else []
        new, self._lines = set(lines[self._lines :]), len(lines)
        return new

    # ---- what is up to date, by three opinions --------------------------------------------------

    def stale(self) -> dict[str, set[str]]:
        """The artifacts that are to be made, by `cdred status` and `snakemake -n`."""
        programs = {
            "cdred": self.start("cdred", "status"),
            "snakemake": self.start("snakemake", "-n"),
        }
        return {name: _READ[name](_wait(program)) for name, program in programs.items()}

    def agreed(self) -> set[str]:
        """The same, where `dvc status` agrees as well."""
        opinions = self.stale() | {"dvc": _READ["dvc"](_wait(self.start("dvc", "status")))}
        assert opinions["cdred"] == opinions["snakemake"] == opinions["dvc"], opinions
        return opinions["cdred"]

    def contents(self) -> dict[str, bytes]:
        """Every byte of every artifact."""
        folders = {
            path.parent
            for top in ("artifacts", "reports")
            for path in (self.root / top).rglob("manifest.json")
            if not path.parent.name.startswith(".")  # aside
        }
        return {
            file.relative_to(self.root).as_posix(): file.read_bytes()
            for folder in folders
            for file in folder.rglob("*")
            if file.is_file()
        }

    # ---- what can happen ------------------------------------------------------------------------

    def orphans(self) -> list[int]:
        """The processes that hold an artifact's lock."""
        return [
            pid
            for file in (self.root / ".cdred/locks").glob("*__*.lock")
            if _is_locked(file) and (pid := _holder(file.with_suffix(".json")))
        ]

    def wait_for_orphans(self) -> None:
        until(lambda: not self.orphans())

    def interrupt(
        self, command: tuple[str, ...], target: str, signum: int, when: float, after: float
    ) -> int:
        """Send a signal to the `stage` that works, to the `engine`, or to `both`, at a share `when`
        of the time that they take. The engine's exit status."""
        program = self.start(*command, seconds=0.3, after=after)
        end = time.monotonic() + 0.4 + 3 * when
        while time.monotonic() < end and program.process.is_alive():
            time.sleep(0.02)
        if target == "stage":
            for pid in self.orphans():
                os.kill(pid, signum)
        else:
            program.kill(signum, group=target == "both")
        if signum == signal.SIGKILL and target != "stage":
            program.kill(signal.SIGKILL, group=target == "both")
        return program.wait()

    def touch(self, folder: str, seconds: float) -> None:
        """Set the times of every file below a folder, relative to now."""
        moment = time.time() + seconds
        for file in (self.root / folder).rglob("*"):
            if not file.is_symlink():
                os.utime(file, (moment, moment))

    def files(self) -> list[Path]:
        """Every file of every artifact, manifests among them."""
        tops = (self.root / "artifacts", self.root / "reports")
        return sorted(
            file
            for top in tops
            for file in top.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.parts[-3:])
        )

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        (self.root / name).write_text(text.replace(old, new, 1))

    def append(self, name: str, text: str) -> None:
        with (self.root / name).open("a") as file:
            file.write(text)


def _wait(program: Program) -> str:
    status = program.wait()
    assert status == 0, program.text[-3000:]
    return program.text


def _by_cdred(text: str) -> set[str]:
    return set(re.findall(r"^(?:stale|missing) +(\S+)", text, re.M))


def _by_snakemake(text: str) -> set[str]:
    return set(re.findall(r"output: \.cdred/made/(\S+)/[0-9a-f]+$", text, re.M))


_TOPS = {"expert": "experts", "demos": "demos", "imitate": "agents", "evaluate": "evaluations"}


def _by_dvc(text: str) -> set[str]:
    """Stages as artifacts, e.g. imitate--TASK--RUN--seed_0."""
    found = set()
    for name in re.findall(r"^(\w\S+):$", text, re.M):
        stage, *rest = name.split("--")
        top = Path("reports") if stage == "report" else Path("artifacts") / _TOPS.get(stage, stage)
        found.add((top / "/".join(rest)).as_posix())
    return found


_READ = {"cdred": _by_cdred, "snakemake": _by_snakemake, "dvc": _by_dvc}


def _is_locked(file: Path) -> bool:
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holder(file: Path) -> int | None:
    try:
        return int(json.loads(file.read_text())["pid"])
    except (OSError, ValueError):
        return None
