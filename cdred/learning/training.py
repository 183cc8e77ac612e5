"""The two training stages: an expert from true reward, and imitation from demonstrations."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path
from typing import Any

import torch

from cdred.envs.rollout import Episode
from cdred.learning.agent import Agent
from cdred.learning.settings import Settings
from cdred.learning.trainer import History, Report, train_bc, train_online

AGENT = "pretrained_model"


def train(
    task: str, method: str, settings: Settings, seed: int, demonstrations: list[Episode],
    device: torch.device, report: Report,
) -> tuple[Agent, History]:  # fmt: skip
    """Train by `method`: `expert` (true reward, no demonstrations), `cdred`, `red` or `bc`."""
    if method == "bc":
        return train_bc(task, settings, seed, demonstrations, device, report)
    return train_online(task, method, settings, seed, demonstrations, device, report)


def write(directory: Path, agent: Agent, history: History) -> None:
    """The agent, its learning curve (curve.csv) and metrics over training (metrics.csv)."""
    agent.cpu().save(directory / AGENT)
    write_csv(directory / "curve.csv", history.curve)
    write_csv(directory / "metrics.csv", history.metrics)


def load(directory: Path) -> Agent:
    """The agent of a training stage's artifact, ready to act."""
    with contextlib.redirect_stdout(None):  # the Hub client prints that the directory is local
        return Agent.from_pretrained(directory / AGENT, strict=True).eval()


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Plain tidy rows; an empty list leaves an empty file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
