"""Layers of TD-MPC2: Linear-LayerNorm-activation, SimNorm, ensembles as one batched product."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cdred.learning.graph import is_tracing


class _FusedMish(torch.autograd.Function):
    """x tanh(softplus(x)) by one exponential and one division, for the compiler to fuse: with
    e = exp(x) and n = e (e + 2), tanh(softplus(x)) = n / (n + 2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        e = x.exp().clamp(max=1e8)  # where the fraction is 1 long since, and n * n still finite
        n = e * (e + 2)
        return x * (n / (n + 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        e = x.exp().clamp(max=1e8)
        n = e * (e + 2)
        d = n + 2
        return gradient * ((n * d + 4 * x * e * (e + 1)) / (d * d))


def mish(x: Tensor) -> Tensor:
    """Mish. PyTorch's own is one call, which counts when it is not compiled, but its three
    transcendental functions an element cost most of what surrounds a matrix product on CPU."""
    return _FusedMish.apply(x) if is_tracing() and x.device.type == "cpu" else F.mish(x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"mish": mish, "silu": F.silu, "relu": F.relu}


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


def dropout_mask(shape: Sequence[int], p: float, device: torch.device) -> Tensor:
    """A mask by which dropout multiplies: 0 with probability `p`, else 1 / (1 - p), independently.

    Drawn by the gaps from one zero to the next, which are geometrically distributed: for small `p`
    a hundredth of the random numbers, whose making takes longer than the layer itself on CPU.
    """
    size = math.prod(shape)
    expected = size * p
    enough = int(expected + 10 * expected**0.5 + 10)  # ten standard deviations above the mean
    uniform = 1 - torch.rand(enough, device=device)  # in (0, 1]
    gaps = 1 + (uniform.log() / math.log1p(-p)).long()
    zeros = (gaps.cumsum(0) - 1).clamp(max=size)
    mask = torch.full((size + 1,), 1 / (1 - p), device=device)  # one more, for those beyond the end
    return mask.index_fill(0, zeros, 0.0)[:size].view(*shape)


class EnsembleMLP(nn.Module):
    """`members` MLPs of one shape, evaluated together: (members or 1, N, in) -> (members, N, out),
    float32 whatever the precision inside.

    Blocks as in `mlp`, with dropout after the first Linear (TD-MPC2's Q functions).
    `init`: "tdmpc2" (truncated normal 0.02, zero biases), or "random_target" (as in the authors'
    code: hidden layers orthogonal without bias, the last by nn.Linear's own uniform
    initialisation, on whose magnitude the scale of their rewards depends).
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
            elif weight is not self.weight[-1]:
                for member in weight:
                    nn.init.orthogonal_(member)
            else:
                bound = weight.shape[1] ** -0.5
                weight.uniform_(-bound, bound)
                bias.uniform_(-bound, bound)

    def forward(self, x: Tensor, members: Tensor | None = None) -> Tensor:
        """x: (members or 1, N, in). `members`: indices of those to evaluate, shape (M,)."""
        stacks = (self.weight, self.bias, self.norm_weight, self.norm_bias)
        weight, bias, gain, shift = (
            [p if members is None else p[members] for p in s] for s in stacks
        )
        count, hidden = weight[0].shape[0], weight[0].shape[-1]
        mask = None
        if self.training and self.dropout > 0:
            mask = dropout_mask((count, x.shape[1], hidden), self.dropout, x.device)
        if not (is_tracing() and x.device.type == "cpu"):
            return self._layers(x.expand(count, -1, -1), weight, bias, gain, shift, mask)
        # The compiler spreads the outermost loop over threads. Five members on two threads would
        # be three and two; the rows of one member divide evenly, and stay in the cache.
        x = x.expand(count, -1, -1)
        return torch.cat(
            [
                self._layers(
                    x[k], [w[k] for w in weight], [b[k] for b in bias], [g[k] for g in gain],
                    [s[k] for s in shift], None if mask is None else mask[k],
                )
                for k in (slice(m, m + 1) for m in range(count))
            ]
        )  # fmt: skip

    def _layers(
        self, x: Tensor, weight: list[Tensor], bias: list[Tensor], gain: list[Tensor],
        shift: list[Tensor], mask: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """The blocks of members together; each tensor's first dimension is that of members."""
        last = len(weight) - 1
        for k in range(last):
            x = torch.baddbmm(bias[k], x, weight[k])
            if k == 0 and mask is not None:
                x = x * mask.to(x.dtype)
            x = F.layer_norm(x, x.shape[-1:])
            x = torch.addcmul(shift[k], x, gain[k])
            x = ACTIVATIONS[self.activation](x)
        return torch.baddbmm(bias[last], x, weight[last]).float()
