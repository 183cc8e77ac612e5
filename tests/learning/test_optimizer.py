"""Adam on flat parameters against PyTorch's."""

from __future__ import annotations

import torch
from torch import nn

from cdred.learning.optimizer import ALIGNMENT, Adam, FlatParameters


def parameters() -> dict[str, nn.Parameter]:
    torch.manual_seed(0)
    shapes = {"matrix": (3, 5), "vector": (7,), "number": (), "long": (2 * ALIGNMENT,)}
    return {name: nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()}


def test_parameters_keep_their_values_and_follow_the_buffer() -> None:
    named, expected = parameters(), parameters()
    flat = FlatParameters(named)
    for name, parameter in named.items():
        assert torch.equal(parameter, expected[name])
        assert flat.places[name][0] % ALIGNMENT == 0
    flat.values.mul_(2)
    for name, parameter in named.items():
        assert torch.equal(parameter, 2 * expected[name])
    assert torch.equal(flat.flatten(named), flat.values)


def test_steps_are_those_of_pytorch() -> None:
    named, reference = parameters(), {k: v.detach().double() for k, v in parameters().items()}
    own = Adam(named, 0.1, eps=1e-5)
    torchs = torch.optim.Adam([v.requires_grad_() for v in reference.values()], 0.1, eps=1e-5)
    for k in range(20):
        gradients = {name: torch.randn(v.shape) for name, v in named.items()}
        factor, due = 1 - k / 40, k % 3 != 1
        scalars = torch.tensor(own.scalars(factor, due)).unbind()
        own.step(*own.tensors().values(), own.flat.flatten(gradients), *scalars)
        if due:
            torchs.param_groups[0]["lr"] = 0.1 * factor
            for name, value in reference.items():
                value.grad = gradients[name].double()
            torchs.step()
    for name, parameter in named.items():
        torch.testing.assert_close(parameter.double(), reference[name], rtol=1e-5, atol=1e-6)
