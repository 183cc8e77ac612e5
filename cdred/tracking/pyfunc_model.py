"""An agent as an MLflow model: `cdred register` logs this file as the model's code.

MLflow runs it when the model is loaded; the weights are safetensors beside it. Nothing is pickled.
"""

from __future__ import annotations

import threading
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]


class AgentModel(PythonModel):
    """A model from observations to actions, without memory between calls."""

    def load_context(self, context: Any) -> None:
        from cdred.learning.agent import Agent

        self.agent = Agent.from_pretrained(context.artifacts["agent"])
        self._lock = threading.Lock()  # a server's threads share torch's generator

    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Actions (N, A) in [-1, 1] for observations (N, *obs_shape), as the agent is evaluated:

            torch.manual_seed(params["seed"]); agent.reset(); agent.act(model_input)

        The same call gives the same actions. An agent that acts by samples wants another seed at
        each step of an episode; one that plans does so from nothing, as at an episode's first step.
        """
        import torch

        seed = int((params or {}).get("seed", 0))
        with self._lock, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.agent.reset()
            return self.agent.act(np.asarray(model_input))


mlflow.models.set_model(AgentModel())
