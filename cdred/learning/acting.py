"""Episodes of a trained agent: what demonstrations and evaluations are made of."""

from __future__ import annotations

from typing import Any

from cdred.envs import make
from cdred.envs.rollout import Episode, Rollout
from cdred.learning.agent import Agent
from cdred.learning.monitor import Monitor
from cdred.learning.seeding import (
    derive_seeds,
    generators,
    restore_generators,
    seed_everything,
    stacked,
)


def play(
    agent: Agent, task: str, episodes: int, seed: int, purpose: str, monitor: Monitor | None = None
) -> list[Episode]:
    """`episodes` episodes side by side, the agent acting as it is evaluated.

    The episodes' seeds follow from `seed` and `purpose`. Goes on from the monitor's saved state.
    """
    monitor = monitor or Monitor()
    seed_everything(seed)
    agent.eval().reset()
    seeds = derive_seeds(seed, purpose, episodes)
    playing = Rollout([make(task) for _ in seeds], seeds)

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
        monitor.checkpoint(state, final=not playing.running)
    return playing.episodes()
