"""Both engines on real stages at toy size: what they make, and what they would make."""

from __future__ import annotations

import json
import re
from typing import Any

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


def manifests(project: Project) -> dict[str, Any]:
    """The content of all artifacts' manifests, but the hashes of a report's pages, which say when they
    were made."""
    found = {
        file.relative_to(project.root).as_posix(): json.loads(file.read_text())
        for top in ("artifacts", "reports")
        for file in (project.root / top).rglob("manifest.json")
    }
    for content in found.values():
        content["files"] = {k: v for k, v in content["files"].items() if not k.endswith(".html")}
    return found
