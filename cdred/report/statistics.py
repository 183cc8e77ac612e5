"""How sure a result is: percentile bootstrap intervals, and rliable's statistics over tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RESAMPLES = 10_000
AGGREGATE_RESAMPLES = 2_000

Estimate = tuple[float, float, float]  # a statistic and the ends of its 95 % interval


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


def interquartile_mean(shares: np.ndarray) -> Estimate:
    """The mean of the middle half of normalised scores (seeds, tasks), with rliable's stratified
    bootstrap, which draws seeds within each task (arXiv 2108.13264)."""
    from rliable.metrics import aggregate_iqm

    return _estimate(lambda x: np.array([aggregate_iqm(x)]), shares)


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> Estimate:
    """How likely a seed of x (seeds, tasks) is above one of y on a task drawn at random; ties count
    half (arXiv 2108.13264, section 4.3)."""
    from rliable.metrics import probability_of_improvement as improvement

    return _estimate(lambda a, b: np.array([improvement(a, b)]), (x, y))


def _estimate(statistic: Callable[..., np.ndarray], scores: Any) -> Estimate:
    """Fixed random numbers: the same scores give the same interval."""
    from rliable.library import get_interval_estimates

    before = np.random.get_state()  # rliable draws from it, whatever generator it is given
    np.random.seed(0)
    try:
        value, interval = get_interval_estimates({"": scores}, statistic, reps=AGGREGATE_RESAMPLES)
    finally:
        np.random.set_state(before)
    return float(value[""][0]), float(interval[""][0, 0]), float(interval[""][1, 0])
