"""The selection of demonstrations: the seeds of episodes, and what is required of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cdred.envs import make_vec
from cdred.envs.episodes import Episode, replay
from cdred.errors import CdredError
from cdred.learning.monitor import Monitor
from cdred.learning.play import play

if TYPE_CHECKING:
    from cdred.learning.agent import Agent
    from cdred.learning.scripted import ScriptedExpert

PURPOSE = "demonstrations"  # what the episodes' seeds are derived for
ROUNDS = 10  # how often an expert may try for as many episodes as are asked for


@dataclass(frozen=True)
class Selection:
    """The number of episodes, their observation mode and first seed; `only` those that succeed, in
    their last state or in any (`successful_once`), or with a return of at least `min_return`."""

    episodes: int
    obs: str = "state"
    seed: int = 0
    only: Literal["all", "successful", "successful_once"] = "all"
    min_return: float | None = None

    def accepts(self, episode: Episode) -> bool:
        successful = {
            "all": True,
            "successful": bool(episode.success),
            "successful_once": bool(episode.success_once),
        }
        return successful[self.only] and (
            self.min_return is None or episode.episode_return >= self.min_return
        )

    def undecided(self, episode: Episode) -> str | None:
        """The field for lack of which it cannot be told whether an episode is accepted, if any."""
        if self.only == "successful" and episode.success is None:
            return "success"
        if self.only == "successful_once" and episode.success_once is None:
            return "success_once"
        unknown = self.min_return is not None and math.isnan(episode.episode_return)
        return "rewards" if unknown else None

    @property
    def rule(self) -> str:
        """The requirement on an episode, as text; empty if there is none."""
        rules = [] if self.only == "all" else [self.only.replace("_", " ")]
        if self.min_return is not None:
            rules.append(f"return of at least {self.min_return:g}")
        return ", ".join(rules)


def collect(
    agent: Agent | ScriptedExpert, task: str, selection: Selection, name: str = "",
    monitor: Monitor | None = None, parallel: bool = False,
) -> list[Episode]:  # fmt: skip
    """Play as many seeded episodes as are selected, the agent acting as it is evaluated.

    Those that are not accepted are left out and more are played. Raises CdredError, naming the
    agent, when too few of ROUNDS times as many are accepted.
    """
    kept: list[Episode] = []
    count, played = selection.episodes, 0
    while len(kept) < count and played < ROUNDS * count:
        episodes = play(
            agent, task, count, selection.seed, PURPOSE, _Round(monitor or Monitor(), played),
            parallel, first=played,
        )  # fmt: skip
        if field := selection.undecided(episodes[0]):
            raise CdredError(f"{task}: has no {field}, which demonstrations are to be chosen by")
        kept += [e for e in episodes if selection.accepts(e)]
        played += count
    if len(kept) < count:
        raise CdredError(
            f"{task}: {count} episodes were asked for, but only {len(kept)} of {played} of the "
            f"expert {name!r} are as required ({selection.rule})"
        )
    kept = kept[:count]
    if selection.obs == agent.obs:
        return kept
    return observe(task, selection.obs, kept, parallel)


def observe(task: str, obs: str, episodes: list[Episode], parallel: bool = False) -> list[Episode]:
    """Play the same episodes again, by their seeds and actions, in another observation mode."""
    with contextlib.closing(make_vec(task, len(episodes), obs, parallel)) as envs:
        return replay(envs, episodes)


class _Round(Monitor):
    """A monitor of the round under way; earlier rounds are played again, with the same results."""

    def __init__(self, monitor: Monitor, played: int) -> None:
        self.monitor, self.played = monitor, played
        self.progress = monitor.progress  # type: ignore[method-assign]

    def saved(self) -> dict[str, Any] | None:
        state = self.monitor.saved()
        return None if state is None or state["played"] != self.played else state

    def save_state(self, state: Callable[[], dict[str, Any]], final: bool = False) -> None:
        self.monitor.save_state(lambda: state() | {"played": self.played}, final)
