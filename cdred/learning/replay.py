"""Transitions in contiguous arrays, sampled as sub-sequences by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Sub-sequences, time first; the first `num_expert` of the N come from demonstrations.

    obs (H + 1, N, *obs_shape), action (H, N, action_dim), reward (H, N, 1) or None where the method
    must not see it.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor | None
    num_expert: int = 0


class Replay:
    """A ring of whole episodes. An episode of T steps takes T + 1 rows, the last for its final
    observation; the oldest episodes give way to a new one.

    Raises ValueError when an episode is longer than the ring or shorter than the horizon.
    """

    def __init__(
        self, capacity: int, obs_shape: Sequence[int], action_dim: int, horizon: int,
        with_reward: bool, device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        self.horizon, self.device = horizon, torch.device(device)
        kind = torch.uint8 if len(obs_shape) == 3 else torch.float32  # pixels, or a vector
        # Not zeroed: the memory of rows that are never written is never touched.
        self.obs = torch.empty(capacity, *obs_shape, dtype=kind, device=device)
        self.action = torch.zeros(capacity, action_dim, device=device)
        self.reward = torch.zeros(capacity, 1, device=device) if with_reward else None
        self.episodes: list[tuple[int, int]] = []  # (first row, steps)
        self.next_row = 0
        self._starts = torch.zeros(0, dtype=torch.long, device=device)
        self._offsets = torch.arange(horizon + 1, device=device)[:, None]

    def __len__(self) -> int:
        """Stored transitions."""
        return sum(steps for _, steps in self.episodes)

    def add(self, obs: Tensor, action: Tensor, reward: Tensor | None = None) -> None:
        """Add one episode: obs (T + 1, *obs_shape), action (T, action_dim), reward (T,)."""
        steps = action.shape[0]
        if steps + 1 > len(self.obs) or steps < self.horizon:
            raise ValueError(
                f"an episode of {steps} steps does not fit a replay of {len(self.obs)} rows "
                f"and a horizon of {self.horizon}"
            )
        first = self.next_row if self.next_row + steps + 1 <= len(self.obs) else 0
        end = first + steps + 1
        self.episodes = [e for e in self.episodes if e[0] >= end or e[0] + e[1] + 1 <= first]
        self.obs[first:end] = obs.to(self.device)
        self.action[first : end - 1] = action.to(self.device)
        if self.reward is not None:
            assert reward is not None
            self.reward[first : end - 1, 0] = reward.to(self.device)
        self.episodes.append((first, steps))
        self.next_row = end
        self._find_starts()

    def _find_starts(self) -> None:
        self._starts = self._rows(1 - self.horizon)

    def _rows(self, more: int) -> Tensor:
        """The first steps + `more` rows of every episode, in one: (M,)."""
        total = sum(steps + more for _, steps in self.episodes)
        first, steps = torch.tensor(self.episodes, device=self.device).T
        counts = steps + more
        shift = first + counts - counts.cumsum(0)  # from a place in the result to the row
        within = torch.arange(total, device=self.device)
        return shift.repeat_interleave(counts, output_size=total) + within

    def transitions(self) -> tuple[Tensor, Tensor]:
        """Every observation that an action follows, and the action: (M, *obs_shape), (M, A)."""
        rows = self._rows(0)
        return self.obs[rows], self.action[rows]

    def state_dict(self) -> dict[str, Any]:
        """The stored episodes, without rows that were never written."""
        used = max((first + steps + 1 for first, steps in self.episodes), default=0)
        return {
            "obs": self.obs[:used].clone(), "action": self.action[:used].clone(),
            "reward": None if self.reward is None else self.reward[:used].clone(),
            "episodes": self.episodes, "next_row": self.next_row,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        used = len(state["obs"])
        self.obs[:used], self.action[:used] = state["obs"], state["action"]
        if self.reward is not None:
            self.reward[:used] = state["reward"]
        self.episodes, self.next_row = list(state["episodes"]), state["next_row"]
        if self.episodes:
            self._find_starts()

    def sample(self, batch_size: int) -> Batch:
        """`batch_size` sub-sequences of `horizon` steps, drawn uniformly over all of them."""
        drawn = torch.randint(len(self._starts), (batch_size,), device=self.device)
        rows = self._starts[drawn] + self._offsets
        before = rows[:-1]
        reward = None if self.reward is None else self.reward[before]
        return Batch(self.obs[rows], self.action[before], reward)


def join(expert: Batch, behaviour: Batch) -> Batch:
    """One batch of both streams, expert first; no reward survives."""
    return Batch(
        torch.cat([expert.obs, behaviour.obs], 1),
        torch.cat([expert.action, behaviour.action], 1),
        None,
        expert.obs.shape[1],
    )
