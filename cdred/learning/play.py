"""Seeded episodes of a trained agent, for demonstrations and evaluations."""

from __future__ import annotations

import contextlib
from typing import Any

from cdred.envs import make_vec
from cdred.envs.episodes import Episode, Rollout
from cdred.learning.agent import Agent
from cdred.learning.monitor import Monitor
from cdred.learning.scripted import ScriptedExpert
from cdred.learning.seeding import (
    derive_seeds,
    generators,
    generators_kept,
    restore_generators,
    seed_everything,
    stacked,
)


def play(
    agent: Agent | ScriptedExpert, task: str, episodes: int, seed: int, purpose: str,
    monitor: Monitor | None = None, parallel: bool = False, first: int = 0,
) -> list[Episode]:  # fmt: skip
    """Play `episodes` episodes side by side, the agent acting as it is evaluated.

    Whatever else the agent plays and draws goes on as if nothing had been played. The episodes'
    seeds follow from `seed` and `purpose`, the `first` of them left out; `parallel`
    steps each environment in a process of its own, to the same result. Goes on from the monitor's
    saved state.
    """
    seeds = derive_seeds(seed, purpose, first + episodes)[first:]
    plan: Any = agent.acting_state()
    try:
        with (
            generators_kept(),
            contextlib.closing(make_vec(task, episodes, agent.obs, parallel)) as envs,
        ):
            return _play(agent, Rollout(envs, seeds), seed, monitor or Monitor())
    finally:
        agent.restore_acting_state(plan)


def _play(
    agent: Agent | ScriptedExpert, playing: Rollout, seed: int, monitor: Monitor
) -> list[Episode]:
    seed_everything(seed)
    agent.eval().reset()

    def state() -> dict[str, Any]:
        return {
            "actions": stacked(playing.actions),
            "acting": agent.acting_state(),
            "generators": generators(),
        }

    if (saved := monitor.saved()) is not None:
        for actions in saved["actions"].numpy():  # makes the simulators' state again
            playing.step(actions)
        agent.restore_acting_state(saved["acting"])
        restore_generators(saved["generators"])
    while playing.running:
        playing.step(agent.act(playing.obs))
        monitor.progress(len(playing.actions), {})
        monitor.save_state(state, final=not playing.running)
    return playing.episodes()
