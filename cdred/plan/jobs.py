"""The jobs of an experiment: identity, inputs, digests. The one truth of both engines.

A job is identified by stage, task, entry name and seed; its digest is derived from the
configuration and the code alone, so what is up to date is known without looking at times.
Imports no numpy and no torch: Snakemake evaluates this on cluster nodes without either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from cdred import manifest
from cdred.config import PARAMS, Config, load
from cdred.config.schema import HubDemos, HubExpert
from cdred.errors import CdredError
from cdred.learning.settings import Settings
from cdred.methods import EXPERT
from cdred.plan import recordings
from cdred.plan.code import Code
from cdred.plan.entries import (
    agent_modules,
    own_modules,
    report_modules,
    stage_modules,
    suite_modules,
)
from cdred.plan.paths import command, dvc_name, log_path, output_path


class Training(NamedTuple):
    """The training of a job: of a method by its settings, on a kind of observation."""

    method: str
    settings: Settings
    obs: str


@dataclass(frozen=True, eq=False)
class Job:
    """One cached step. `params` is all of the configuration that its result depends on;
    `dvc_params` are the keys of params.yaml that hold it; `code` the hash of each file of code."""

    stage: str
    task: str
    entry: str
    seed: int
    params: dict[str, Any]
    dvc_params: tuple[str, ...]
    inputs: tuple[Job, ...]
    code: dict[str, str]

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
        return command(self.stage, self.task, self.entry, str(self.seed))

    @property
    def name(self) -> str:
        """The name of DVC's stage."""
        return dvc_name(self.stage, self.task, self.entry, self.seed)

    def up_to_date(self, root: Path = Path(), present: Present | None = None) -> bool:
        """Tell whether the artifact is there, made by this job from the inputs that are there, and
        with all of its files. An input that is gone is not asked for."""
        present = present or Present(root)
        made = present.manifest(self.path)
        if made is None or made["digest"] != self.digest:
            return False
        return not manifest.missing_files(root / self.path, made) and not self.remade(present)

    def remade(self, present: Present) -> list[Path]:
        """The inputs, theirs among them, that are there but are not those that this artifact, or
        the one between, was made from: made again, on another machine or with other packages."""
        made = present.manifest(self.path)
        if made is None:
            return []
        paths = []
        for source in self.inputs:
            read = made["inputs"].get(source.path.as_posix())
            if present.hash(source.path) not in (None, read):
                paths.append(source.path)
            paths += source.remade(present)
        return paths


class Present:
    """The manifests that lie in a checkout, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[Path, tuple[dict[str, Any], str] | None] = {}

    def manifest(self, path: Path) -> dict[str, Any] | None:
        found = self._of(path)
        return found and found[0]

    def hash(self, path: Path) -> str | None:
        found = self._of(path)
        return found and found[1]

    def _of(self, path: Path) -> tuple[dict[str, Any], str] | None:
        if path not in self._read:
            content = manifest.read(self.root / path)
            file = self.root / path / manifest.NAME
            self._read[path] = None if content is None else (content, manifest.hash_file(file))
        return self._read[path]


class Plan:
    """All jobs that an experiment asks for, and what they need."""

    def __init__(self, config: Config, root: Path = Path()) -> None:
        self.config, self.root = config, root
        self.code = Code(root)
        self._jobs: dict[Path, Job] = {}
        self._named: dict[str, dict[str, Any]] = {}  # by key, the files that it names
        self.report = self._report()
        self.code.note_loaded()

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
        return self.at(output_path(stage, task, entry, seed))

    def at(self, path: Path) -> Job:
        """The job that makes the artifact at `path`. Raises CdredError when there is none."""
        if path not in self._jobs:
            near = [str(known) for known in self._jobs if known.parts[:2] == path.parts[:2]]
            known = ", ".join((near or list(map(str, self._jobs)))[:6])
            raise CdredError(
                f"{path} is not part of experiment {self.config.experiment.name!r} (params.yaml), "
                f"which makes: {known}"
            )
        return self._jobs[path]

    def training(self, job: Job) -> Training | None:
        """The training of a job of this plan; None of one that trains nothing."""
        if job.stage == "imitate":
            run = self.config.runs[job.entry]
            return Training(run.method, run.settings, self.config.demos[run.demos].obs)
        if job.stage == "expert":
            expert = self.config.experts[job.entry]
            if expert.settings is not None:
                return Training(EXPERT, expert.settings, expert.obs)
        return None

    def stale(self) -> set[Path]:
        """The paths of the artifacts that are missing or not up to date."""
        present = Present(self.root)
        return {job.path for job in self.jobs if not job.up_to_date(self.root, present)}

    def expert(self, task: str, name: str) -> Job:
        entry = self.config.experts[name]
        path = None if isinstance(entry, HubExpert) else entry.checkpoint
        params = entry.params() | {"task": task} | self._files(path, f"experts.{name}.checkpoint")
        modules = [*stage_modules("expert", entry.source), *self._expert_modules(name)]
        code = self._code([task], modules)
        return self._add("expert", task, name, entry.seed, params, (f"experts.{name}",), (), code)

    def demos(self, task: str, name: str) -> Job:
        entry = self.config.demos[name]
        path = None if isinstance(entry, HubDemos) else entry.path
        params = entry.params() | self._files(path, f"demos.{name}.path")
        experts = () if entry.expert is None else (self.expert(task, entry.expert),)
        modules = [*stage_modules("demos", "expert" if experts else "others")]
        if entry.expert is not None:
            modules += self._expert_modules(entry.expert)
        code = self._code([task], modules)
        return self._add("demos", task, name, 0, params, (f"demos.{name}",), experts, code)

    def imitate(self, task: str, name: str, seed: int) -> Job:
        entry = self.config.runs[name]
        demos = self.demos(task, entry.demos)
        code = self._code([task], [*stage_modules("imitate"), *agent_modules(entry.method)])
        return self._add(
            "imitate", task, name, seed, entry.params(), (f"runs.{name}",), (demos,), code
        )

    def evaluate(self, agent: Job) -> Job:
        """The evaluation of an expert or an imitating agent."""
        params = self.config.evaluation.model_dump()
        identity = (agent.task, agent.entry, agent.seed)
        if agent.stage == "expert":
            modules = self._expert_modules(agent.entry)
        else:
            modules = agent_modules(self.config.runs[agent.entry].method)
        code = self._code([agent.task], [*stage_modules("evaluate"), *modules])
        return self._add("evaluate", *identity, params, ("evaluation",), (agent,), code)

    def _report(self) -> Job:
        e = self.config.experiment
        agents = [
            self.imitate(task, run, seed) for task in e.tasks for run in e.runs for seed in e.seeds
        ]
        sources = list(dict.fromkeys(job for agent in agents for job in _ancestors(agent)))
        evaluations = [self.evaluate(j) for j in sources if j.stage in ("expert", "imitate")]
        methods = [EXPERT, *(self.config.runs[run].method for run in e.runs)]
        code = self.code.table([*stage_modules("report"), *report_modules(methods)])
        inputs = (*sources, *evaluations)
        return self._add("report", "", e.name, 0, e.model_dump(), ("experiment",), inputs, code)

    def _expert_modules(self, name: str) -> list[str]:
        """The modules of an expert's method."""
        source = self.config.experts[name].source
        if source == "scripted":
            return []
        return agent_modules(EXPERT if source == "train" else None)

    def _code(self, tasks: list[str], modules: list[str]) -> dict[str, str]:
        suites = [name for name in suite_modules(tasks) if self.code.file(name)]
        return self.code.table([*modules, *suites, *own_modules(tasks)])

    def _files(self, name: str | None, key: str) -> dict[str, Any]:
        """The hashes of what a key names, if it is a file or directory here."""
        if key not in self._named:
            self._named[key] = recordings.hashes(self.root, name, key)
        return self._named[key]

    def _add(
        self, stage: str, task: str, entry: str, seed: int, params: dict[str, Any],
        dvc_params: tuple[str, ...], inputs: tuple[Job, ...], code: dict[str, str],
    ) -> Job:  # fmt: skip
        path = output_path(stage, task, entry, seed)
        if path not in self._jobs:
            self._jobs[path] = Job(stage, task, entry, seed, params, dvc_params, inputs, code)
        return self._jobs[path]


def _ancestors(job: Job) -> list[Job]:
    return [*(before for source in job.inputs for before in _ancestors(source)), job]
