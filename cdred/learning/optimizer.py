"""Parameters in one buffer, and Adam on them: few large operations instead of many small ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

ALIGNMENT = 16  # numbers: parameters begin at multiples of 64 bytes, a line of the cache


class FlatParameters:
    """Parameters that become views of one buffer, `values` (P,), each padded with zeros."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.places: dict[str, tuple[int, torch.Size]] = {}
        self.size = 0
        for name, parameter in parameters.items():
            self.places[name] = self.size, parameter.shape
            self.size += _padded(parameter.numel())
        some = next(iter(parameters.values()))
        self.values = torch.zeros(self.size, device=some.device, dtype=some.dtype)
        for name, view in self.views(self.values).items():
            view.copy_(parameters[name].detach())
            parameters[name].data = view

    def views(self, buffer: Tensor) -> dict[str, Tensor]:
        """The parts of a buffer (P,) by the names of the parameters, in their shapes."""
        return {
            name: buffer[start : start + shape.numel()].view(shape)
            for name, (start, shape) in self.places.items()
        }

    def leaves(self, buffer: Tensor) -> dict[str, Tensor]:
        """The same, to take gradients with respect to."""
        return {k: v.detach().requires_grad_() for k, v in self.views(buffer).items()}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """One buffer (P,) of tensors by the names of the parameters."""
        parts = []
        for name, (_, shape) in self.places.items():
            parts.append(tensors[name].reshape(-1))
            padding = _padded(shape.numel()) - shape.numel()
            if padding:
                parts.append(parts[-1].new_zeros(padding))
        return torch.cat(parts)


def _padded(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT


class Adam:
    """Adam (arXiv 1412.6980) on flat parameters.

    `step` is a function of tensors alone, of which it changes the first three in place. What
    depends on the number of steps made is computed outside, by `scalars`.
    """

    BETAS = 0.9, 0.999
    SCALARS = ("step_size", "correction", "due")

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], learning_rate: float, eps: float = 1e-8
    ) -> None:
        self.flat = FlatParameters(parameters)
        self.learning_rate, self.eps = learning_rate, eps
        self.mean = torch.zeros_like(self.flat.values)
        self.square = torch.zeros_like(self.flat.values)
        self.steps = 0

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that `step` changes."""
        return {"values": self.flat.values, "mean": self.mean, "square": self.square}

    def scalars(self, factor: float, due: bool) -> tuple[float, float, float]:
        """The size of the next step at the learning rate times `factor`, the correction of its
        divisor, and 1; all 0 unless it is due, and then the step changes nothing."""
        if not due:
            return 0.0, 0.0, 0.0
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in self.BETAS)
        return self.learning_rate * factor / first, second**-0.5, 1.0

    def step(
        self, values: Tensor, mean: Tensor, square: Tensor, gradient: Tensor,
        step_size: Tensor, correction: Tensor, due: Tensor,
    ) -> None:  # fmt: skip
        """Change values and both moments (P,) in place by a gradient (P,)."""
        first, second = self.BETAS
        mean.lerp_(gradient, (1 - first) * due)
        square.lerp_(gradient.square(), (1 - second) * due)
        values.sub_(step_size * mean / (square.sqrt() * correction + self.eps))

    def state_dict(self) -> dict[str, Any]:
        """The moments by parameter, and the number of steps."""
        return {
            "mean": self.flat.views(self.mean), "square": self.flat.views(self.square),
            "steps": self.steps,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, moments in (("mean", self.mean), ("square", self.square)):
            for key, view in self.flat.views(moments).items():
                view.copy_(state[name][key])
        self.steps = state["steps"]
