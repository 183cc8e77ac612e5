"""Layers of TD-MPC2: Linear-LayerNorm-activation, SimNorm, ensembles as one batched product."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS = {"mish": F.mish, "silu": F.silu}


class SimNorm(nn.Module):
    """Softmax over groups of `dim` features (TD-MPC2, section 3.1): (..., L) -> (..., L).

    A group is strided (features i, i + L/dim, ...) rather than adjacent: the same model up to a
    permutation of features, and several times faster on CPU than a softmax over 8 neighbours.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.float().unflatten(-1, (self.dim, -1)).softmax(-2).flatten(-2)


class Activation(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.name](x)


def mlp(
    in_dim: int, hidden: list[int], out_dim: int, activation: str, output: nn.Module | None = None
) -> nn.Sequential:
    """Linear-LayerNorm-activation blocks; the last Linear is bare, or followed by LayerNorm and
    `output` if given. Weights truncated normal 0.02, biases 0."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(in_dim, size), nn.LayerNorm(size), Activation(activation)]
        in_dim = size
    layers.append(nn.Linear(in_dim, out_dim))
    if output is not None:
        layers += [nn.LayerNorm(out_dim), output]
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return net


class PixelEncoder(nn.Module):
    """Four convolutions on frames (..., C, 64, 64) of uint8, then SimNorm (TD-MPC2, appendix).

    32 channels make a latent state of 512, the paper's; another size is projected to `latent_dim`.
    While training, frames are shifted at random (DrQ, arXiv 2004.13649).
    """

    def __init__(
        self, shape: Sequence[int], channels: int, latent_dim: int, simnorm_dim: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = shape[0]
        for kernel, stride in ((7, 2), (5, 2), (3, 2), (3, 1)):
            layers += [nn.Conv2d(before, channels, kernel, stride), nn.ReLU()]
            before = channels
        self.net = nn.Sequential(*layers[:-1], nn.Flatten())
        with torch.no_grad():
            size = self.net(torch.zeros(1, *shape)).shape[1]
        self.project = nn.Identity() if size == latent_dim else nn.Linear(size, latent_dim)
        self.norm = SimNorm(simnorm_dim)
        if isinstance(self.project, nn.Linear):  # convolutions keep PyTorch's initialisation
            nn.init.trunc_normal_(self.project.weight, std=0.02)
            nn.init.zeros_(self.project.bias)

    def forward(self, obs: Tensor) -> Tensor:
        frames = obs.flatten(0, -4)
        if self.training:
            frames = random_shift(frames)
        features = self.net(frames.float() / 255 - 0.5)
        return self.norm(self.project(features)).unflatten(0, obs.shape[:-3])


def random_shift(frames: Tensor, pad: int = 3) -> Tensor:
    """Move each of (N, C, S, S) frames by up to `pad` pixels in both directions; what comes in at
    an edge repeats it."""
    count, _, height, width = frames.shape
    dy, dx = torch.randint(-pad, pad + 1, (2, count, 1), device=frames.device)
    rows = (torch.arange(height, device=frames.device) + dy).clamp(0, height - 1)
    columns = (torch.arange(width, device=frames.device) + dx).clamp(0, width - 1)
    which = torch.arange(count, device=frames.device)[:, None, None]
    moved = frames[which, :, rows[:, :, None], columns[:, None, :]]  # (N, S, S, C)
    return moved.permute(0, 3, 1, 2)


class EnsembleMLP(nn.Module):
    """`members` MLPs of one shape, evaluated together: (members or 1, N, in) -> (members, N, out),
    float32 whatever the precision inside.

    Blocks as in `mlp`, with dropout after the first Linear (TD-MPC2's Q functions).
    `init`: "tdmpc2" (truncated normal 0.02, zero biases), or "torch" (nn.Linear's own uniform
    initialisation, whose magnitude the random targets keep).
    """

    def __init__(
        self, members: int, in_dim: int, hidden: list[int], out_dim: int, activation: str,
        dropout: float = 0.0, init: str = "tdmpc2",
    ) -> None:  # fmt: skip
        super().__init__()
        self.activation, self.dropout, self.init = activation, dropout, init
        sizes = [in_dim, *hidden, out_dim]
        shapes = list(itertools.pairwise(sizes))
        self.weight = nn.ParameterList(torch.empty(members, i, o) for i, o in shapes)
        self.bias = nn.ParameterList(torch.zeros(members, 1, o) for _, o in shapes)
        self.norm_weight = nn.ParameterList(torch.ones(members, 1, h) for h in hidden)
        self.norm_bias = nn.ParameterList(torch.zeros(members, 1, h) for h in hidden)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for weight, bias in zip(self.weight, self.bias, strict=True):
            if self.init == "tdmpc2":
                nn.init.trunc_normal_(weight, std=0.02)
                bias.zero_()
            else:
                bound = weight.shape[1] ** -0.5
                weight.uniform_(-bound, bound)
                bias.uniform_(-bound, bound)

    def forward(self, x: Tensor, members: Tensor | None = None) -> Tensor:
        """x: (members or 1, N, in). `members`: indices of those to evaluate, shape (M,)."""

        def chosen(parameter: Tensor) -> Tensor:
            return parameter if members is None else parameter[members]

        last = len(self.weight) - 1
        count = self.weight[0].shape[0] if members is None else members.shape[0]
        x = x.expand(count, -1, -1)
        for k, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            x = torch.baddbmm(chosen(bias), x, chosen(weight))
            if k == last:
                break
            if k == 0 and self.dropout > 0:
                x = F.dropout(x, self.dropout, self.training)
            x = F.layer_norm(x, x.shape[-1:])
            x = torch.addcmul(chosen(self.norm_bias[k]), x, chosen(self.norm_weight[k]))
            x = ACTIVATIONS[self.activation](x)
        return x.float()
