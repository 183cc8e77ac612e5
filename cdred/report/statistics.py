"""How sure a mean return is: percentile bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000


def bootstrap_interval(
    samples: Sequence[Sequence[float]], level: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The interval of the mean of `samples`, the episode returns of each training seed.

    With several seeds the bootstrap is hierarchical: it draws seeds, then episodes within each
    seed drawn, so that the interval covers the luck of training as well. With one seed it draws
    episodes alone. The generator's seed is fixed: the same returns give the same interval.
    """
    generator = np.random.default_rng(0)
    seeds = [np.asarray(values, float) for values in samples]
    count = len(seeds)
    if count > 1:
        drawn = generator.integers(0, count, (resamples, count))
    else:
        drawn = np.zeros((resamples, 1), int)
    means = np.empty(drawn.shape)
    for k, values in enumerate(seeds):
        here = drawn == k  # seeds may have different numbers of episodes
        episodes = generator.integers(0, len(values), (int(here.sum()), len(values)))
        means[here] = values[episodes].mean(1)
    tail = 50 * (1 - level)
    low, high = np.percentile(means.mean(1), [tail, 100 - tail])
    return float(low), float(high)
