"""The loop around every way of training: steps, learning curve, metrics, checkpoints."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cdred.envs import make_vec
from cdred.envs.episodes import rollout
from cdred.errors import CdredError
from cdred.learning.agent import Agent
from cdred.learning.average import WeightAverage
from cdred.learning.monitor import Monitor
from cdred.learning.seeding import derive_seeds, generators, restore_generators
from cdred.learning.settings import Settings

# Of these a row holds the largest value of its interval beside the mean.
WITH_MAXIMUM = ("grad_norm", "grad_norm_all", "policy_grad_norm")


@dataclass
class History:
    """The learning curve and the metrics of a training run, as rows of plain numbers."""

    curve: list[dict[str, float]] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """Trains `agent` for `s.steps` steps; the result is the agent after the last step, or at the
    best point of its learning curve if the settings say so; by the mean of its weights if they say
    that it is evaluated so.

    A subclass says what one step is (`advance`, which hands each update to `updated`) and what it
    needs to go on (`state`, `restore`).
    """

    def __init__(self, agent: Agent, s: Settings, seed: int, monitor: Monitor) -> None:
        self.agent, self.s, self.monitor = agent.eval(), s, monitor
        self.step = self.updates = 0
        self.history = History()
        self.log = MetricLog(s.log_every, self.history.metrics, monitor, agent.device)
        self.evaluator = Evaluator(agent, s, seed)
        self.highlights: dict[str, float] = {}
        self.best: dict[str, Tensor] | None = None
        self.average = WeightAverage(agent, s.average) if s.average else None

    def advance(self) -> None:
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        raise NotImplementedError

    def restore(self, state: dict[str, Any]) -> None:
        raise NotImplementedError

    def updated(self, names: list[str], metrics: Tensor) -> None:
        """Count an update of the agent, with its scalars, (names,)."""
        self.updates += 1
        if self.average is not None:
            self.average.add(self.updates)
        self.log.add(self.updates, self.step, names, metrics)

    def no_update(self) -> str:
        """The reason why there was no update, after the last step."""
        return f"no update in {self.step} steps"

    def close(self) -> None:
        """End the simulators. Of those left to the garbage collector, dm_control's hang on it."""
        self.evaluator.envs.close()

    def run(self) -> tuple[Agent, History]:
        """Train from the start or from the monitor's saved state: the same result to the bit.

        Raises FloatingPointError naming a term that is not finite, and CdredError when no update
        was ever made: there is no agent then.
        """
        with contextlib.closing(self):
            return self._run()

    def _run(self) -> tuple[Agent, History]:
        saved = self.monitor.saved()
        if saved is not None:
            self._restore(saved)
        while self.step < self.s.steps:
            self.step += 1
            last = self.step == self.s.steps
            try:
                self.advance()
                if last or self.step % self.s.eval_every == 0:
                    self._add_to_curve()
            except Exception:
                self.log.check(self.updates)  # planners and simulators fail at what is no number
                raise
            self.monitor.progress(self.step, self.highlights)
            self.monitor.save_state(self._state, final=last)
        if not self.updates:
            raise CdredError(f"{self.agent.task}: {self.no_update()}; nothing was learned")
        self.log.flush(self.updates, self.step)
        if self.best is not None:
            self.agent.load_state_dict(self.best)
        elif self.average is not None:
            self.average.apply()
        return self.agent.eval(), self.history

    def _add_to_curve(self) -> None:
        row: dict[str, float] = {"step": self.step, "update": self.updates}
        with contextlib.nullcontext() if self.average is None else self.average.applied():
            row |= self.evaluator(self.agent)
            self.history.curve.append(row)
            if self.s.keep == "best" and _quality(row) == max(map(_quality, self.history.curve)):
                self.best = {name: value.clone() for name, value in self.agent.state_dict().items()}
        self.monitor.row("curve", row)
        self.highlights = {"return": row["return_mean"]}
        if "success" in row:
            self.highlights["success"] = row["success"]

    def _state(self) -> dict[str, Any]:
        self.log.check(self.updates)  # a state that is lost already must not replace a good one
        return {
            "step": self.step, "updates": self.updates, "highlights": self.highlights,
            "curve": self.history.curve, "metrics": self.history.metrics,
            "pending": self.log.state(), "agent": self.agent.state_dict(),
            "acting": self.agent.acting_state(), "generators": generators(),
            "trainer": self.state(), "best": self.best,
            "average": None if self.average is None else self.average.state(),
        }  # fmt: skip

    def _restore(self, saved: dict[str, Any]) -> None:
        self.step, self.updates, self.highlights = (
            saved["step"],
            saved["updates"],
            saved["highlights"],
        )
        self.history.curve[:], self.history.metrics[:] = saved["curve"], saved["metrics"]
        self.log.restore(saved["pending"])
        self.agent.load_state_dict(saved["agent"])
        self.restore(saved["trainer"])
        self.best = saved["best"]
        if self.average is not None:
            self.average.restore(saved["average"])
        self.agent.restore_acting_state(saved["acting"])
        restore_generators(saved["generators"])  # last: rebuilding may have drawn numbers


def _quality(row: dict[str, float]) -> tuple[float, float]:
    """The key by which the best point of a curve is chosen: success first, where there is any."""
    return row.get("success", 0.0), row["return_mean"]


class Evaluator:
    """Points of the learning curve: the same few seeded episodes each time."""

    def __init__(self, agent: Agent, s: Settings, seed: int) -> None:
        self.seeds = derive_seeds(seed, "curve", s.eval_episodes)
        self.envs = make_vec(agent.task, len(self.seeds), agent.obs)

    def __call__(self, agent: Agent) -> dict[str, float]:
        agent.eval()
        acting = agent.acting_state()
        with torch.random.fork_rng():  # acting draws numbers; training must not notice
            agent.reset()
            episodes = rollout(agent.act, self.envs, self.seeds)
        agent.restore_acting_state(acting)
        returns = [e.episode_return for e in episodes]
        row = {
            "return_mean": float(np.mean(returns)),
            "return_min": float(np.min(returns)),
            "return_max": float(np.max(returns)),
        }
        successes = [e.success for e in episodes if e.success is not None]
        return row | ({"success": float(np.mean(successes))} if successes else {})


class MetricLog:
    """Collects the scalars of updates on the device; one transfer for each row of means."""

    def __init__(
        self, every: int, rows: list[dict[str, float]], monitor: Monitor, device: torch.device
    ) -> None:
        self.every, self.rows, self.monitor, self.device = every, rows, monitor, device
        self.names: list[str] = []
        self.pending: list[Tensor] = []

    def add(self, update: int, step: int, names: list[str], metrics: Tensor) -> None:
        """Add the scalars of an update, (names,), and make a row if it is time to."""
        self.names = names
        self.pending.append(metrics)
        if len(self.pending) == self.every:
            self.flush(update, step)

    def flush(self, update: int, step: int) -> None:
        """Make a row of what is pending: means, and the largest value of gradient norms.

        Raises FloatingPointError naming a term that is not finite.
        """
        if not self.pending:
            return
        names, table = self.names, self.check(update)
        row: dict[str, float] = {"step": step, "update": update}
        if taken := sorted(row.keys() & names):
            raise CdredError(f"a metric is called {taken[0]!r}, as a column of every table is")
        row |= dict(zip(names, table.mean(0).tolist(), strict=True))
        for name in WITH_MAXIMUM:
            if name in names:
                row[f"{name}_max"] = table[:, names.index(name)].max().item()
        self.rows.append(row)
        self.pending.clear()
        self.monitor.row("metrics", row)

    def check(self, update: int) -> Tensor:
        """The pending scalars, (updates, names), after `update` updates.

        Raises FloatingPointError naming the first update with a value that is not finite, and the
        value: a loss rather than what it led to.
        """
        names, table = self.names, self._table().cpu()
        finite = table.isfinite()
        if not finite.all():
            at = int((~finite.all(1)).nonzero()[0])
            bad = [n for n, good in zip(names, finite[at].tolist(), strict=True) if not good]
            name = min(bad, key=lambda n: (n == "total_loss", not n.endswith("_loss")))
            value = table[at, names.index(name)].item()
            raise FloatingPointError(f"{name} is {value} at update {update - len(table) + at + 1}")
        return table

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "table": self._table().cpu()}

    def restore(self, state: dict[str, Any]) -> None:
        self.names = state["names"]
        self.pending = [*state["table"].to(self.device)]

    def _table(self) -> Tensor:
        """The pending scalars, (updates, names)."""
        return torch.stack(self.pending) if self.pending else torch.zeros(0, len(self.names))
