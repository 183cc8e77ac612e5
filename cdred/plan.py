"""The jobs of an experiment: identity, paths, inputs, digests, commands. Both engines' one truth.

A job is identified by stage, task, entry name and seed; its digest is derived from the
configuration and the code alone, so what is up to date is known without looking at times.
Standard library and yaml alone: Snakemake evaluates this on cluster nodes without torch.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cdred import manifest
from cdred.config import PARAMS, Config, load
from cdred.errors import CdredError

# The code that each stage's results depend on: DVC's deps and the digest's code hash. Never the
# CLI, this module or tracking: they change how a stage is run, not what it computes.
CODE: dict[str, tuple[str, ...]] = {
    "expert": ("cdred/envs", "cdred/learning", "cdred/methods", "cdred/suites"),
    "demos": ("cdred/demos", "cdred/envs", "cdred/learning", "cdred/methods", "cdred/suites"),
    "imitate": ("cdred/demos", "cdred/envs", "cdred/learning", "cdred/methods", "cdred/suites"),
    "evaluate": (
        "cdred/envs", "cdred/evaluation.py", "cdred/learning", "cdred/methods", "cdred/suites",
    ),
    "report": ("cdred/envs/tasks.py", "cdred/report", "cdred/suites"),
}  # fmt: skip
STAGES = tuple(CODE)


def output_path(stage: str, task: str = "", entry: str = "", seed: int | str = 0) -> Path:
    """Where a job's artifact lives. The only place that knows; arguments may be wildcards."""
    root = Path("artifacts")
    return {
        "expert": root / "experts" / task / entry,
        "demos": root / "demos" / task / entry,
        "imitate": root / "agents" / task / entry / f"seed_{seed}",
        "evaluate": root / "evaluations" / task / entry / f"seed_{seed}",
        "report": Path("reports") / entry,
    }[stage]


def log_path(stage: str, task: str = "", entry: str = "", seed: int | str = 0) -> Path:
    """The directory of a job's logs: outside of its artifact, named like it."""
    path = output_path(stage, task, entry, seed)
    return Path("logs") / (path if stage == "report" else path.relative_to("artifacts"))


@dataclass(frozen=True, eq=False)
class Job:
    """One cached step. `params` is all of the configuration that its result depends on;
    `dvc_params` are the keys of params.yaml that hold it."""

    stage: str
    task: str
    entry: str
    seed: int
    params: dict[str, Any]
    dvc_params: tuple[str, ...]
    inputs: tuple[Job, ...]
    code: str

    @property
    def path(self) -> Path:
        return output_path(self.stage, self.task, self.entry, self.seed)

    @cached_property
    def digest(self) -> str:
        inputs = {job.path.as_posix(): job.digest for job in self.inputs}
        return manifest.derive(vars(self), inputs)

    @property
    def log(self) -> Path:
        return log_path(self.stage, self.task, self.entry, self.seed) / "log.txt"

    @property
    def command(self) -> str:
        return f"{command(self.stage, self.task, self.entry, str(self.seed))} --log {self.log}"

    @property
    def name(self) -> str:
        """The name of DVC's stage."""
        parts = {
            "expert": (self.task, self.entry), "demos": (self.task, self.entry),
            "imitate": (self.task, self.entry, f"seed_{self.seed}"),
            "evaluate": (self.task, self.entry, f"seed_{self.seed}"), "report": (self.entry,),
        }[self.stage]  # fmt: skip
        return "--".join((self.stage, *parts))  # no name contains two hyphens

    def up_to_date(self, root: Path = Path()) -> bool:
        found = manifest.read(root / self.path)
        return found is not None and found["digest"] == self.digest


# What each stage's entry is called on the command line and in rules.
ENTRY_OPTION = {"expert": "expert", "demos": "demos", "imitate": "run", "evaluate": "run"}


def command(stage: str, task: str, entry: str, seed: str) -> str:
    """The command line of a job; arguments may be wildcards."""
    if stage == "report":
        return "cdred report"
    text = f"cdred {stage} --task {task} --{ENTRY_OPTION[stage]} {entry}"
    return f"{text} --seed {seed}" if stage in ("imitate", "evaluate") else text


class Plan:
    """All jobs that an experiment asks for, and what they need."""

    def __init__(self, config: Config, root: Path = Path()) -> None:
        self.config, self.root = config, root
        self._code = {stage: manifest.hash_code(root, paths) for stage, paths in CODE.items()}
        self._jobs: dict[Path, Job] = {}
        self.report = self._report()

    @classmethod
    def load(cls, root: Path = Path()) -> Plan:
        return cls(load(root / PARAMS), root)

    @property
    def jobs(self) -> list[Job]:
        """Every job, inputs before those that use them."""
        return list(self._jobs.values())

    def of(self, stage: str) -> list[Job]:
        return [job for job in self.jobs if job.stage == stage]

    def job(self, stage: str, task: str = "", entry: str = "", seed: int | str = 0) -> Job:
        """The job of this identity. Raises CdredError when the experiment does not contain it."""
        path = output_path(stage, task, entry, seed)
        if path not in self._jobs:
            known = ", ".join(str(j.path) for j in self.of(stage)[:6])
            raise CdredError(
                f"{path} is not part of experiment {self.config.experiment.name!r} (params.yaml), "
                f"which makes: {known}"
            )
        return self._jobs[path]

    def expert(self, task: str, name: str) -> Job:
        entry = self.config.experts[name]
        params = entry.params() | {"task": task} | self._files(entry.checkpoint)
        return self._add("expert", task, name, entry.seed, params, (f"experts.{name}",), ())

    def demos(self, task: str, name: str) -> Job:
        entry = self.config.demos[name]
        params = entry.params() | self._files(entry.path)
        experts = () if entry.expert is None else (self.expert(task, entry.expert),)
        return self._add("demos", task, name, 0, params, (f"demos.{name}",), experts)

    def imitate(self, task: str, name: str, seed: int) -> Job:
        entry = self.config.runs[name]
        demos = self.demos(task, entry.demos)
        params = entry.params()
        return self._add("imitate", task, name, seed, params, (f"runs.{name}",), (demos,))

    def evaluate(self, agent: Job) -> Job:
        """The evaluation of an expert or an imitating agent."""
        params = self.config.evaluation.model_dump()
        identity = (agent.task, agent.entry, agent.seed)
        return self._add("evaluate", *identity, params, ("evaluation",), (agent,))

    def _files(self, path: str | None) -> dict[str, Any]:
        """The hashes of what a parameter names, if it is a file or directory here."""
        found = self.root / path if path else None
        if found is None or not found.exists():
            return {}
        hashes = manifest.hash_tree(found) if found.is_dir() else manifest.hash_file(found)
        return {"files": {path: hashes}}

    def _report(self) -> Job:
        e = self.config.experiment
        agents = [
            self.imitate(task, run, seed) for task in e.tasks for run in e.runs for seed in e.seeds
        ]
        sources = list(dict.fromkeys(job for agent in agents for job in _ancestors(agent)))
        evaluations = [self.evaluate(j) for j in sources if j.stage in ("expert", "imitate")]
        return self._add(
            "report", "", e.name, 0, e.model_dump(), ("experiment",), (*sources, *evaluations)
        )

    def _add(
        self, stage: str, task: str, entry: str, seed: int, params: dict[str, Any],
        dvc_params: tuple[str, ...], inputs: tuple[Job, ...],
    ) -> Job:  # fmt: skip
        path = output_path(stage, task, entry, seed)
        if path not in self._jobs:
            code = self._code[stage]
            self._jobs[path] = Job(stage, task, entry, seed, params, dvc_params, inputs, code)
        return self._jobs[path]


def check_target(path: Path) -> None:
    """Refuse to replace what is not an artifact of ours, with a CdredError."""
    if not path.exists() or manifest.read(path) is not None:
        return
    if path.is_file() or any(path.iterdir()):
        raise CdredError(f"{path}: exists and was not made by cdred; move it away")


def _ancestors(job: Job) -> list[Job]:
    return [*(found for source in job.inputs for found in _ancestors(source)), job]


# ---- Snakemake's view: one stamp file a job says whether it is up to date -------------------


def find_commands_of(python: str, root: Path = Path()) -> None:
    """Let jobs find `cdred` whether or not its environment is activated: beside this Python, or in
    .venv, where Snakemake has an environment of its own (on clusters)."""
    places = [Path(python).parent, (root / ".venv/bin").absolute()]
    found = next((place for place in places if (place / "cdred").exists()), places[0])
    os.environ["PATH"] = str(found) + os.pathsep + os.environ.get("PATH", "")


def hold_checkout(root: Path = Path()) -> None:
    """Let no other Snakemake run jobs in this checkout until this process ends, however it ends.

    Snakemake's own lock stays when it is killed (profiles switch it off); without any, a second one
    would clean up after the jobs that it was refused. Raises CdredError if there is another.
    """
    import fcntl

    file = root / ".cdred/locks/snakemake.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    _HELD.append(file.open("a"))
    try:
        fcntl.flock(_HELD[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CdredError(
            "another Snakemake runs in this checkout; wait for it, or stop it and run this again"
        ) from None


_HELD: list[Any] = []  # open until the process ends


def write_stamps(plan: Plan) -> dict[Path, Path]:
    """A stamp per job: older than everything if its artifact is up to date, newer if not.

    Snakemake reads times once while it plans, so all stamps are written before any rule. A stale
    job's stamp has a new text each time, else a checksum that Snakemake recorded in an earlier
    run could match. Written atomically: cluster jobs parse the Snakefile again.
    """
    stamps: dict[Path, Path] = {}
    for job in plan.jobs:
        file = plan.root / ".cdred" / "stamps" / (job.path.as_posix().replace("/", "__") + ".stamp")
        fresh = job.up_to_date(plan.root)
        stamps[job.path] = file
        if fresh and file.exists() and file.read_text() == job.digest:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(f".{os.uname().nodename}.{os.getpid()}")
        aside.write_text(job.digest if fresh else f"{job.digest} {time.time_ns()}")
        if fresh:
            os.utime(aside, (1, 1))
        aside.replace(file)
    return stamps
