"""The update step: the paper's algorithm box, with any reward model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cdred.errors import CdredError
from cdred.learning import derived
from cdred.learning.device import send
from cdred.learning.graph import Graph, call, matrix_precision, tensor_float32, tensors_of
from cdred.learning.optimizer import Adam, FlatParameters
from cdred.learning.replay import Batch
from cdred.learning.reward_model import RewardModel, Rollout, register_scalar
from cdred.learning.scale import RunningScale
from cdred.learning.settings import WorldModelSettings
from cdred.learning.world_model import WorldModel


class Networks(nn.Module):
    """All tensors of an update but the optimisers' own: networks, statistics and constants."""

    weights: Tensor  # (H + 1,), of each step in the losses
    policy_norm: Tensor  # of the policy's last gradient, clipped
    discount: Tensor
    grad_clip: Tensor
    consistency_coef: Tensor
    value_coef: Tensor
    reward_coef: Tensor
    entropy_coef: Tensor

    def __init__(
        self, model: WorldModel, reward_model: RewardModel, s: WorldModelSettings, discount: float
    ) -> None:
        super().__init__()
        self.model, self.reward_model, self.scale = model, reward_model, RunningScale(s.tau)
        self.register_buffer("weights", s.rho ** torch.arange(s.horizon + 1))
        self.register_buffer("policy_norm", torch.zeros(()))
        register_scalar(self, "discount", discount)
        for name in ("grad_clip", "consistency_coef", "value_coef", "reward_coef",
                     "entropy_coef"):  # fmt: skip
            register_scalar(self, name, getattr(s, name))
        self.to(next(model.parameters()).device)

    def trained(self, part: str) -> dict[str, nn.Parameter]:
        """The parameters of a part that require a gradient, by name."""
        named = self.get_submodule(part).named_parameters(prefix=part)
        return {name: parameter for name, parameter in named if parameter.requires_grad}


class Learner:
    """World model, reward model and their optimisers. `update` makes one gradient step of each.

    The step is a function of tensors alone, which it changes in place: `compile` makes one program
    of it, of which runs that differ in numbers but not in shapes share a copy.
    """

    def __init__(
        self, model: WorldModel, reward_model: RewardModel, s: WorldModelSettings,
        discount: float, total_updates: int,
    ) -> None:  # fmt: skip
        self.model, self.reward_model, self.s = model, reward_model, s
        self.total_updates, self.updates = total_updates, 0
        self.networks = networks = Networks(model, reward_model, s, discount)
        self.device = networks.policy_norm.device

        lr, own = s.learning_rate, reward_model.learning_rate
        parts = {
            "encoder": Adam(networks.trained("model.encoder"), lr * s.encoder_lr_scale),
            "q": Adam(networks.trained("model.q"), lr),
            "policy": Adam(networks.trained("model.policy"), s.policy_learning_rate or lr, 1e-5),
        }
        rest, reward = networks.trained("model.dynamics"), networks.trained("reward_model")
        if own is None:
            rest |= reward
        elif reward:
            parts["reward"] = Adam(reward, own)
        if rest:
            parts["rest"] = Adam(rest, lr)
        self.optimizers = parts
        self.target_q = FlatParameters(dict(model.target_q.named_parameters("model.target_q")))
        self.scalars = torch.zeros(len(parts), len(Adam.SCALARS), device=self.device)
        self.tensors: dict[str, Tensor] = {}
        self._fixed: list[str] = []
        self.metric_names: list[str] = []
        self.graph = Graph(self._step_of, derived.execution(s, self.device.type))

    def _tensors(self) -> tuple[dict[str, Tensor], list[str]]:
        """All tensors of the step but the batch, parameters as their flat buffers; the names of
        those that are tensors of the networks as they are."""
        optimizers = self.optimizers.items()
        flat = {f"{n}.{key}": t for n, o in optimizers for key, t in o.tensors().items()}
        placed = {*self.target_q.places, *(key for _, o in optimizers for key in o.flat.places)}
        fixed = {k: tensor for k, tensor in tensors_of(self.networks).items() if k not in placed}
        flat |= {"target_q": self.target_q.values, "scalars": self.scalars}
        return flat | fixed, list(fixed)

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimisers, the running scale and the count of updates."""
        return {
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "scale": self.networks.scale.state_dict(),
            "policy_norm": self.networks.policy_norm,
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.networks.scale.load_state_dict(state["scale"])
        self.networks.policy_norm.copy_(state["policy_norm"])
        self.updates = state["updates"]

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step on a batch. Returns detached scalars, left on the device."""
        table = self.step(batch)
        return dict(zip(self.metric_names, table.unbind(), strict=True))

    def step(self, batch: Batch) -> Tensor:
        """The same; the scalars as one tensor, in the order of `metric_names`."""
        if not self.tensors:  # not before: `prepare` may have put others there
            self.tensors, self._fixed = self._tensors()
        self.reward_model.anneal(self.updates / self.total_updates)
        self._set_scalars()
        streams = [batch.obs, batch.action, *([] if batch.reward is None else [batch.reward])]
        with tensor_float32(self.s, self.device):
            metrics: Tensor = self.graph([*self.tensors.values()], streams, batch.num_expert)
        self.updates += 1
        return metrics

    def _set_scalars(self) -> None:
        """Set the step sizes of the optimisers, which depend on the number of updates made."""
        s, factor = self.s, 1.0
        if s.lr_schedule == "linear":
            factor = max(1 - self.updates / self.total_updates, 0.0)
        elif s.lr_schedule == "step":
            factor = 0.1 ** (self.updates // s.lr_decay_every)
        due = self.reward_model.is_due(self.updates)
        rows = [o.scalars(factor, n != "reward" or due) for n, o in self.optimizers.items()]
        self.scalars.copy_(send(torch.tensor(rows), self.device))

    def _step_of(self, *arguments: Any) -> Tensor:
        """`_step_of_tensors` of `tensors` one by one, the parts of a batch and its `num_expert`."""
        count = len(self.tensors)
        tensors = dict(zip(self.tensors, arguments[:count], strict=True))
        obs, action, *reward, num_expert = arguments[count:]
        batch = Batch(obs, action, reward[0] if reward else None, num_expert)
        self.model.train()
        self.reward_model.train()
        metrics = self._step_of_tensors(tensors, batch)
        self.model.eval()  # acting and planning are without dropout
        return metrics

    def _step_of_tensors(self, tensors: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """The update: losses, gradients, clipping, Adam, the policy's likewise, the target's copy.

        Changes `tensors` in place and returns the metrics; touches no other tensor but the batch.
        """
        optimizers, clip = self.optimizers, tensors["grad_clip"]
        world = [name for name in optimizers if name != "policy"]
        leaves = self._leaves(tensors, *world)
        with matrix_precision(self.s, self.device):
            loss, zs, metrics = self._call(self.world_loss, tensors, leaves, batch)
        gradients = self._gradients(loss, leaves, world)
        # A reward model's own optimiser takes its gradients as they are.
        grad_norm = _clip([g for name, g in gradients.items() if name != "reward"], clip)
        for name, gradient in gradients.items():
            self._apply(name, tensors, gradient)
        # As the authors take it: the policy's gradient of the update before is among it.
        grad_norm_all = torch.linalg.vector_norm(torch.stack([grad_norm, tensors["policy_norm"]]))
        metrics = _joined(metrics, {"grad_norm": grad_norm, "grad_norm_all": grad_norm_all})

        leaves = self._leaves(tensors, "policy")
        with matrix_precision(self.s, self.device):
            policy_loss, own = self._call(self.policy_loss, tensors, leaves, zs.detach())
        (gradient,) = self._gradients(policy_loss, leaves, ["policy"]).values()
        norm = _clip([gradient], clip)
        self._apply("policy", tensors, gradient)
        tensors["policy_norm"].copy_(torch.minimum(norm, clip))
        tensors["target_q"].lerp_(tensors["q.values"], tensors["scale.tau"])
        own |= {"policy_grad_norm": norm, "total_loss": loss.detach()}
        metrics = _joined(metrics, own)
        self.metric_names = list(metrics)
        return torch.stack([*metrics.values()])

    def _leaves(self, tensors: Mapping[str, Tensor], *names: str) -> dict[str, Tensor]:
        """The parameters of some optimisers, to take gradients with respect to."""
        leaves: dict[str, Tensor] = {}
        for name in names:
            leaves |= self.optimizers[name].flat.leaves(tensors[f"{name}.values"])
        return leaves

    def _call(
        self, function: Callable[..., Any], tensors: Mapping[str, Tensor],
        leaves: Mapping[str, Tensor], *arguments: Any,
    ) -> Any:  # fmt: skip
        """A function of the networks, with these tensors, and leaves, for theirs."""
        views = self.target_q.views(tensors["target_q"])
        for name, optimizer in self.optimizers.items():
            views |= optimizer.flat.views(tensors[f"{name}.values"])
        fixed = {name: tensors[name] for name in self._fixed}
        return call(self.networks, {**fixed, **views, **leaves}, function, *arguments)

    def _gradients(
        self, loss: Tensor, leaves: Mapping[str, Tensor], names: list[str]
    ) -> dict[str, Tensor]:
        """The flat gradients by optimiser; zero where the loss does not depend on a parameter."""
        gradients = torch.autograd.grad(
            loss, [*leaves.values()], allow_unused=True, materialize_grads=True
        )
        named = dict(zip(leaves, gradients, strict=True))
        return {name: self.optimizers[name].flat.flatten(named) for name in names}

    def _apply(self, name: str, tensors: Mapping[str, Tensor], gradient: Tensor) -> None:
        optimizer = self.optimizers[name]
        scalars = tensors["scalars"][list(self.optimizers).index(name)].unbind()
        values, mean, square = (tensors[f"{name}.{key}"] for key in optimizer.tensors())
        step_size, correction, due = scalars
        optimizer.step(values, mean, square, gradient, step_size, correction, due)

    def world_loss(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The weighted sum of consistency, reward and value loss; the rolled-out latents
        (H + 1, N, L); detached metrics."""
        s, model, networks = self.s, self.model, self.networks
        weights = networks.weights[:-1]
        if s.model_free:
            zs = model.encoder(batch.obs)
            z_observed = zs[1:].detach()
        else:
            # Latent roll-out, held to the encodings of what was really observed next.
            with torch.no_grad():
                z_observed = model.encoder(batch.obs[1:])  # (H, N, L)
            rollout = [model.encoder(batch.obs[0])]
            for action in batch.action:
                rollout.append(model.next(rollout[-1], action))
            zs = torch.stack(rollout)
        errors = (zs[1:] - z_observed).square().mean((1, 2))  # (H,); 0 without a model
        consistency_loss = errors @ weights / s.horizon

        losses = self.reward_model.losses(
            model, Rollout(zs, z_observed, batch, weights, networks.discount)
        )
        total_loss = (
            networks.consistency_coef * consistency_loss
            + networks.value_coef * losses.value_loss
            + networks.reward_coef * losses.reward_loss
        )
        with torch.no_grad():
            metrics = _stream_statistics(losses.reward, losses.q[:, 0], batch.num_expert)
        for k, error in enumerate(errors.detach().unbind(), 1):
            metrics[f"consistency_{k}"] = error  # k steps after the real observation
        metrics |= {
            "consistency_loss": consistency_loss.detach(),
            "reward_loss": losses.reward_loss.detach(),
            "value_loss": losses.value_loss.detach(),
        }
        return total_loss, zs, _joined(losses.metrics, metrics)

    def policy_loss(self, zs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Maximum entropy on Q over detached latents (H + 1, N, L), normalised by the running
        scale, a constant here, unless Q holds the reward; detached metrics."""
        scale = self.networks.scale
        action, entropy = self.model.policy.sample(zs)
        q = self.model.q_pair(zs, action)
        q = torch.minimum(*q) if self.s.policy_q == "min" else q.mean(0)
        if not self.reward_model.inverse:
            scale.update(q[0])
        objective = self.networks.entropy_coef * entropy + scale(q)
        loss = -(objective.mean((1, 2)) * self.networks.weights).mean()
        return loss, {
            "policy_loss": loss.detach(),
            "policy_entropy": entropy.detach().mean(),
            "q_scale": scale.value.clone(),
        }


def _joined(metrics: dict[str, Tensor], more: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both. Raises CdredError when a reward model calls a metric as the learner does one of its."""
    if taken := sorted(metrics.keys() & more.keys()):
        raise CdredError(f"a reward model's metric is called {taken[0]!r}, as one of the learner's")
    return metrics | more


def _clip(gradients: list[Tensor], largest: Tensor) -> Tensor:
    """Scale gradients in place to a norm of at most `largest`; the norm that they had."""
    norm = torch.linalg.vector_norm(torch.stack([g.square().sum() for g in gradients]).sqrt())
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)
    return norm


def _stream_statistics(reward: Tensor, q: Tensor, num_expert: int) -> dict[str, Tensor]:
    """Mean and standard deviation of the reward (H, N, 1) and of Q (members, N, 1) at the first
    step, per stream."""
    streams = {"behaviour": slice(num_expert, None)}
    if num_expert:
        streams["expert"] = slice(num_expert)
    statistics: dict[str, Tensor] = {}
    for stream, part in streams.items():
        for name, values in (("reward", reward[:, part]), ("q", q[:, part])):
            spread, mean = torch.std_mean(values)
            statistics |= {f"{name}_{stream}": mean, f"{name}_{stream}_std": spread}
    return statistics
