"""Both engines on real stages at toy size: what they make, and what they would make."""

from __future__ import annotations

import re

from support.project import Project

EXPERT = "experts/cartpole-balance/expert"
DEMOS = "demos/cartpole-balance/expert-2"
CDRED, BC = (f"agents/cartpole-balance/{run}/seed_0" for run in ("cdred", "bc"))
EVALUATIONS = {f"evaluations/cartpole-balance/{run}/seed_0" for run in ("expert", "cdred", "bc")}
REPORT = "reports/toy"
ALL = {EXPERT, DEMOS, CDRED, BC, REPORT} | EVALUATIONS


def snakemake(project: Project) -> str:
    return project.run("snakemake", "--cores", "2")


def planned(project: Project) -> set[str]:
    """The jobs that Snakemake would run."""
    text = project.run("snakemake", "-n")
    if "Nothing to be done" in text:
        return set()
    markers = re.findall(r"output: \.cdred/made/(\S+)/[0-9a-f]+$", text, re.M)
    return {path.removeprefix("artifacts/") for path in markers}


def dvc_is_clean(project: Project) -> bool:
    return "Data and pipelines are up to date" in project.run("dvc", "status")


def manifests(project: Project) -> dict[str, bytes]:
    return {
        file.relative_to(project.root).as_posix(): file.read_bytes()
        for top in ("artifacts", "reports")
        for file in (project.root / top).rglob("manifest.json")
    }
