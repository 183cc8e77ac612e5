"""Experts that need no training: scripted policies, a suite's own or, where it has none, ours."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdred.documents import Document
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.registry import EXPERT
from cdred.suites import scripted_policy

FILE = "scripted.json"


class Saved(Document):
    """The content of FILE."""

    task: str


class ScriptedExpert:
    """Acts like an `Agent`, by the scripted policy of its task, from state observations."""

    method, obs = EXPERT, "state"  # in tables it stands for what trains experts

    def __init__(self, task: str) -> None:
        if not find(task).scripted:
            raise CdredError(f"{task} has no scripted policy")
        self.task = task
        self._policy = scripted_policy(find(task))

    def act(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Actions (N, A) in [-1, 1] for observations (N, obs_dim)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an action is clipped, as it is below
            actions = [self._policy.get_action(o.astype(np.float64)) for o in obs]
        return np.clip(np.stack(actions), -1, 1).astype(np.float32)

    def to(self, device: Any) -> ScriptedExpert:
        return self

    def eval(self) -> ScriptedExpert:
        return self

    def reset(self) -> None:
        """Do nothing: the policies look at the last observation alone."""

    def acting_state(self) -> None:
        return None

    def restore_acting_state(self, state: None) -> None:
        pass

    def save(self, directory: Path) -> None:
        """Write which policy it is; the policy itself comes with the code or the pinned package."""
        text = json.dumps({"task": self.task, "policy": type(self._policy).__name__})
        (directory / FILE).write_text(text + "\n", encoding="utf-8")
