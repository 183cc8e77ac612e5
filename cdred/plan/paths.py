"""The places and the command of a job."""

from __future__ import annotations

from pathlib import Path

from cdred.envs.tasks import file_name

STAGES = ("expert", "demos", "imitate", "evaluate", "report")
# What a stage's entry is called on the command line and in rules.
ENTRY_OPTION = {"expert": "expert", "demos": "demos", "imitate": "run", "evaluate": "run"}
TOPS = ("artifacts", "reports")  # the folders that hold all artifacts


def output_path(stage: str, task: str = "", entry: str = "", seed: int | str = 0) -> Path:
    """The directory of a job's artifact. Arguments may be wildcards."""
    root, task = Path("artifacts"), file_name(task)
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


def command(stage: str, task: str, entry: str, seed: str) -> str:
    """The command line of a job."""
    if stage == "report":
        return "cdred report"
    text = f"cdred {stage} --task {file_name(task)} --{ENTRY_OPTION[stage]} {entry}"
    return f"{text} --seed {seed}" if stage in ("imitate", "evaluate") else text


def dvc_name(stage: str, task: str, entry: str, seed: int) -> str:
    """The name of a job's stage in dvc.yaml. No task or entry contains two hyphens."""
    task = file_name(task)
    parts = {"report": (entry,), "expert": (task, entry), "demos": (task, entry)}
    return "--".join((stage, *parts.get(stage, (task, entry, f"seed_{seed}"))))
