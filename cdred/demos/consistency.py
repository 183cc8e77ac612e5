"""The comparison of recorded observations with those of the task's environment.

The same numbers in another order, or in other units, are of the right shape and finite: nothing
else would tell that they mean something different.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from cdred.envs import make
from cdred.envs.episodes import Episode
from cdred.errors import CdredError

RESETS = 100  # of the environment, whose first observations span a range
STEPS = 5  # that are played again
REPLAYED = 3  # episodes
REMEDY = "in another order, or units? check_observations: false takes them as they are"


def check(where: str, task: str, episodes: Sequence[Episode], play: bool = True) -> str:
    """Compare vectors of observations with the environment's; return what was compared, as text.

    Where the environment, reset with an episode's seed, begins as the episode does, its first
    actions are played again, unless they are means of several (`play` is false); else the first
    observations must lie in the range of the environment's, which tells nothing of components that
    all begin with 0. Raises CdredError, with what differs, when they do not agree.
    """
    if episodes[0].obs.dtype == np.uint8:
        return f"{where}: observations are pixels, not compared with the environment's"
    with closing(make(task)) as env:
        repeated = 0
        for k, e in enumerate(episodes[:REPLAYED]):
            own = [env.reset(seed=e.seed % 2**32)[0]]
            begins = _close(np.sort(own[0]), np.sort(e.obs[0]))  # in whatever order
            if begins and play:
                own += [env.step(action)[0] for action in e.action[:STEPS]]
            for step, (obs, recorded) in enumerate(zip(own, e.obs[: STEPS + 1], strict=False)):
                if _close(obs, recorded):
                    continue
                if _close(np.sort(obs), np.sort(recorded)):
                    raise CdredError(f"{where}, episode {k}: the environment's numbers {REMEDY}")
                if step:
                    raise CdredError(
                        f"{where}, episode {k}: begins as the environment does with its seed, but "
                        f"its actions lead elsewhere in step {step}: of another rate (`stride`) or "
                        f"control? check_observations: false takes it as it is"
                    )
            repeated += begins
        if repeated and play:
            return f"{where}: {repeated} episodes played again by their seeds: as recorded"
        if repeated:
            return f"{where}: {repeated} episodes begin as the environment does with their seeds"
        first = np.stack([env.reset(seed=seed)[0] for seed in range(RESETS)])
    _check_range(where, np.stack([e.obs[0] for e in episodes]), first)
    return f"{where}: first observations are within the environment's (no seeds that repeat them)"


def _close(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return np.allclose(a, b, rtol=1e-2, atol=1e-3)


def _check_range(where: str, recorded: NDArray[np.float32], own: NDArray[np.float32]) -> None:
    """Raise CdredError for a component that most episodes begin with outside of its range."""
    low, high = own.min(0), own.max(0)
    margin = 0.5 * (high - low) + 0.05 * np.maximum(np.abs(low), np.abs(high)) + 1e-2
    outside = ((recorded < low - margin) | (recorded > high + margin)).mean(0)
    if outside.max() > 0.5:
        k = int(outside.argmax())
        raise CdredError(
            f"{where}: component {k} of the first observations is {np.median(recorded[:, k]):g}, "
            f"the environment's is from {low[k]:g} to {high[k]:g}: {REMEDY}"
        )
