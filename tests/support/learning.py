"""Learners at toy size: settings, demonstrations and trainings of a second or two."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from cdred import methods
from cdred.envs.episodes import Episode
from cdred.envs.tasks import PIXEL_SHAPE
from cdred.learning.agent import Agent
from cdred.learning.networks import EnsembleMLP
from cdred.learning.train import train as train_agent
from cdred.learning.trainer import History

TASK = "cartpole-balance"
# Over the preset `small`: networks, and a training that makes 54 updates.
TINY: dict[str, Any] = {
    "latent_dim": 16, "encoder_dim": 16, "mlp_dim": 16, "rnd_dim": 8, "target_dim": 16,
    "predictor_dim": 16, "compile": False,
}  # fmt: skip
TOY: dict[str, Any] = TINY | {
    "batch_size": 8, "steps": 540, "seed_steps": 500, "updates_per_step": 0.1,
    "eval_every": 540, "eval_episodes": 1, "log_every": 10,
}  # fmt: skip


def tiny(method: str = "cdred", **changes: Any) -> Any:
    """Settings of a method with networks that cost nothing."""
    return _settings(method, TINY, changes)


def toy(method: str = "cdred", **changes: Any) -> Any:
    """The same, with a short training."""
    return _settings(method, TOY, changes)


def _settings(method: str, values: dict[str, Any], changes: dict[str, Any]) -> Any:
    settings = methods.find(method).settings
    own = {key: value for key, value in values.items() if key in settings.model_fields}
    return settings.preset("small", **own | changes)


def demonstrations(count: int = 2, pixels: bool = False) -> list[Episode]:
    """Random ones for TASK, or with `pixels` for a task of Meta-World, whose episodes are short."""
    rng = np.random.default_rng(0)
    return [
        Episode(
            rng.integers(0, 256, (51, *PIXEL_SHAPE), np.uint8)
            if pixels
            else rng.normal(size=(51, 5)).astype(np.float32),
            rng.uniform(-1, 1, (50, 4 if pixels else 1)).astype(np.float32),
            np.zeros(50, np.float32), None, k,
        )
        for k in range(count)
    ]  # fmt: skip


def train(method: str, seed: int = 3, **changes: Any) -> tuple[Agent, History]:
    """An agent of TASK at toy size."""
    demos = demonstrations() if methods.find(method).uses_demonstrations else []
    return train_agent(TASK, method, toy(method, **changes), seed, demos, torch.device("cpu"))


def weights(agent: torch.nn.Module) -> str:
    """The hash of all of an agent's weights."""
    blob = b"".join(v.detach().numpy().tobytes() for v in agent.state_dict().values())
    return hashlib.sha256(blob).hexdigest()


def forward(net: EnsembleMLP, member: int, x: np.ndarray) -> np.ndarray:
    """One member of an ensemble in numpy float64: Linear, LayerNorm, SiLU; a bare last Linear."""

    def get(parameters: torch.nn.ParameterList, k: int) -> np.ndarray:
        return parameters[k][member].detach().double().numpy()

    for k in range(len(net.weight)):
        x = x @ get(net.weight, k) + get(net.bias, k)
        if k < len(net.weight) - 1:
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
            x = x * get(net.norm_weight, k) + get(net.norm_bias, k)
            x = x / (1 + np.exp(-x))
    return x
