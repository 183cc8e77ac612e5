"""TD-MPC2's decoder-free world model: encoder, latent dynamics, Q ensemble, policy prior."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cdred.learning.networks import EnsembleMLP, PixelEncoder, SimNorm, mlp
from cdred.learning.settings import Settings, WorldModelSettings
from cdred.learning.twohot import two_hot_inverse

HALF_LOG_2_PI = 0.9189385332046727  # of a Gaussian's density


class Policy(nn.Module):
    """Squashed Gaussian over actions given a latent state."""

    def __init__(self, s: Settings, action_dim: int) -> None:
        super().__init__()
        self.net = mlp(s.latent_dim, [s.mlp_dim, s.mlp_dim], 2 * action_dim, s.activation)
        self.log_std_min, self.log_std_max = s.log_std_min, s.log_std_max
        self.entropy = s.entropy

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (..., L) -> mean before tanh and log standard deviation, each (..., A)."""
        mean, log_std = self.net(z).float().chunk(2, dim=-1)
        half = 0.5 * (self.log_std_max - self.log_std_min)
        return mean, self.log_std_min + half * (log_std.tanh() + 1)

    def sample(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """A sampled action (..., A) and its entropy (..., 1), by the convention of the settings.

        `scaled` is TD-MPC2's: the Gaussian's negative log-density before tanh, times the action
        dimension; the tanh correction cancels there and is left out here. `squashed` is that of
        the actions themselves, as in SAC, which keeps the policy from saturating. CDRED's and
        IQ-MPC's authors build on TD-MPC2's first version, `scaled_squashed`: the density before
        tanh, whose constant is that of one dimension, is multiplied, and the correction, which is
        not, stays.
        """
        mean, log_std = self(z)
        noise = torch.randn_like(mean)
        action = (mean + noise * log_std.exp()).tanh()
        if self.entropy == "scaled_squashed":
            log_density = (-0.5 * noise.square() - log_std).sum(-1, keepdim=True) - HALF_LOG_2_PI
        else:
            log_density = (-0.5 * noise.square() - log_std - HALF_LOG_2_PI).sum(-1, keepdim=True)
        if self.entropy != "squashed":
            log_density = log_density * mean.shape[-1]
        if self.entropy == "scaled":
            return action, -log_density
        correction = (1 - action.square() + 1e-6).log().sum(-1, keepdim=True)
        return action, correction - log_density

    def mean(self, z: Tensor) -> Tensor:
        """The deterministic action tanh(mean), (..., A)."""
        return self(z)[0].tanh()


def make_encoder(s: Settings, obs_shape: Sequence[int]) -> nn.Module:
    """The encoder h: observation (..., *obs_shape) -> latent state (..., L)."""
    if len(obs_shape) == 3:
        return PixelEncoder(obs_shape, s.conv_channels, s.latent_dim, s.simnorm_dim)
    hidden = [s.encoder_dim] * max(s.encoder_layers - 1, 1)
    return mlp(obs_shape[0], hidden, s.latent_dim, s.activation, SimNorm(s.simnorm_dim))


class WorldModel(nn.Module):
    """All networks but the reward model's. With `scalar_q` Q are numbers, not distributions over
    bins of symlog space."""

    policy: Policy

    def __init__(
        self, s: WorldModelSettings, obs_shape: Sequence[int], action_dim: int,
        scalar_q: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.symlog_max, self.num_q = s.symlog_max, s.num_q
        self.scalar_q = scalar_q
        joint = s.latent_dim + action_dim
        hidden = [s.mlp_dim, s.mlp_dim]
        self.encoder = make_encoder(s, obs_shape)
        self.dynamics: nn.Module = nn.Identity()  # of an agent without a model
        if not s.model_free:
            self.dynamics = mlp(joint, hidden, s.latent_dim, s.activation, SimNorm(s.simnorm_dim))
        self.policy = Policy(s, action_dim)
        outputs = 1 if scalar_q else s.num_bins
        self.q = EnsembleMLP(s.num_q, joint, hidden, outputs, s.activation, s.dropout)
        nn.init.zeros_(self.q.weight[-1])
        self.target_q = copy.deepcopy(self.q).requires_grad_(False)

    def train(self, mode: bool = True) -> WorldModel:
        super().train(mode)
        self.target_q.eval()  # targets are computed without dropout
        return self

    def next(self, z: Tensor, action: Tensor) -> Tensor:
        """d: latent state (..., L) and action (..., A) -> next latent state (..., L)."""
        return self.dynamics(torch.cat([z, action], -1))

    def q_logits(
        self, z: Tensor, action: Tensor, members: Tensor | None = None, target: bool = False
    ) -> Tensor:
        """Bin logits of the Q ensemble, (members, ..., B); a scalar head has a single bin."""
        x = torch.cat([z, action], -1)
        net = self.target_q if target else self.q
        return net(x.flatten(0, -2).unsqueeze(0), members).unflatten(1, x.shape[:-1])

    def q_values(self, logits: Tensor) -> Tensor:
        """Values (..., 1) of the ensemble's outputs (..., B)."""
        return logits if self.scalar_q else two_hot_inverse(logits, self.symlog_max)

    def q_pair(self, z: Tensor, action: Tensor, target: bool = False) -> Tensor:
        """Values of two randomly chosen members, (2, ..., 1); no other member is evaluated."""
        members = torch.randperm(self.num_q, device=z.device)[:2] if self.num_q > 2 else None
        return self.q_values(self.q_logits(z, action, members, target))
