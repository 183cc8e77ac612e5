"""The two training stages: an expert from true reward, and imitation from demonstrations."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import torch

from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE, find
from cdred.learning import scripted
from cdred.learning.agent import Agent
from cdred.learning.cloning import CloningTrainer
from cdred.learning.interaction import OnlineTrainer
from cdred.learning.monitor import Monitor
from cdred.learning.scripted import ScriptedExpert
from cdred.learning.seeding import derive_seed, seed_everything
from cdred.learning.settings import Settings
from cdred.learning.trainer import History

AGENT = "pretrained_model"


def train(
    task: str, method: str, settings: Settings, seed: int, demonstrations: list[Episode],
    device: torch.device, monitor: Monitor | None = None, obs: str = "state",
) -> tuple[Agent, History]:  # fmt: skip
    """Train by `method`: `expert` (true reward, no demonstrations), `cdred`, `red`,
    `iqmpc`, `cfil` or `bc`.

    `obs` is the observation mode; that of the demonstrations, if there are any.
    """
    seed_everything(derive_seed(seed, "learner"))
    shape = (find(task).obs_dim,) if obs == "state" else PIXEL_SHAPE
    agent = Agent.create(task, method, shape, find(task).action_dim, settings).to(device)
    trainer = CloningTrainer if method == "bc" else OnlineTrainer
    return trainer(agent, settings, seed, demonstrations, monitor or Monitor()).run()


def write(directory: Path, agent: Agent | ScriptedExpert, history: History) -> None:
    """The agent, its learning curve (curve.csv) and metrics over training (metrics.csv)."""
    if isinstance(agent, ScriptedExpert):
        agent.save(directory)
    else:
        agent.cpu().save(directory / AGENT)
    write_csv(directory / "curve.csv", history.curve)
    write_csv(directory / "metrics.csv", history.metrics)


def load(directory: Path) -> Agent | ScriptedExpert:
    """The agent or expert of a training stage's artifact, ready to act."""
    if (directory / scripted.FILE).exists():
        return ScriptedExpert(json.loads((directory / scripted.FILE).read_text())["task"])
    return Agent.from_pretrained(directory / AGENT, strict=True)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Plain tidy rows; an empty list leaves an empty file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
