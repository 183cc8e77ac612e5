"""Uncertainty of results: percentile bootstrap intervals, and rliable's statistics over tasks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
AGGREGATE_RESAMPLES = 2_000

Estimate = tuple[float, float, float]  # a statistic and the ends of its 95 % interval


def bootstrap_interval(samples: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The 95 % interval of the mean of `samples`, the episode returns of each training seed.

    With several seeds the bootstrap is hierarchical: it draws seeds, then episodes within each
    seed drawn, so that the interval covers the luck of training as well. With one seed it draws
    episodes alone. The generator's seed is fixed: the same returns give the same interval.
    """
    generator = np.random.default_rng(0)
    seeds = [np.asarray(values, float) for values in samples]
    count = len(seeds)
    if count > 1:
        drawn = generator.integers(0, count, (RESAMPLES, count))
    else:
        drawn = np.zeros((RESAMPLES, 1), int)
    means = np.empty(drawn.shape)
    for k, values in enumerate(seeds):
        here = drawn == k  # seeds may have different numbers of episodes
        episodes = generator.integers(0, len(values), (int(here.sum()), len(values)))
        means[here] = values[episodes].mean(1)
    low, high = np.percentile(means.mean(1), [2.5, 97.5])
    return float(low), float(high)


def interquartile_mean(shares: NDArray[Any]) -> Estimate:
    """The mean of the middle half of normalised scores (seeds, tasks), with rliable's stratified
    bootstrap, which draws seeds within each task (arXiv 2108.13264)."""
    return interquartile_means(shares[..., None])[0]


def interquartile_means(shares: NDArray[Any]) -> list[Estimate]:
    """As `interquartile_mean`, at each point of learning curves (seeds, tasks, points)."""
    from scipy.stats import trim_mean

    def statistic(x: NDArray[Any]) -> NDArray[Any]:
        """rliable's aggregate_iqm of every point at once."""
        return np.asarray(trim_mean(x.reshape(-1, x.shape[-1]), proportiontocut=0.25, axis=0))

    return _estimates(statistic, shares)


def performance_profile(shares: NDArray[Any], levels: NDArray[Any]) -> list[Estimate]:
    """The share of normalised scores (seeds, tasks) above each of `levels`, with the same bootstrap
    (arXiv 2108.13264, section 4.2)."""
    from rliable.library import create_performance_profile

    with _fixed_random_numbers():
        value, interval = create_performance_profile({"": shares}, levels, reps=AGGREGATE_RESAMPLES)
    return _listed(value[""], interval[""])


def probability_of_improvement(x: NDArray[Any], y: NDArray[Any]) -> Estimate:
    """The probability that a seed of x (seeds, tasks) is above one of y on a task drawn at random;
    ties count half (arXiv 2108.13264, section 4.3)."""
    from rliable.metrics import probability_of_improvement as improvement

    return _estimates(lambda a, b: np.array([improvement(a, b)]), (x, y))[0]


def _estimates(statistic: Callable[..., NDArray[Any]], scores: Any) -> list[Estimate]:
    from rliable.library import get_interval_estimates

    with _fixed_random_numbers():
        value, interval = get_interval_estimates({"": scores}, statistic, reps=AGGREGATE_RESAMPLES)
    return _listed(value[""], interval[""])


def _listed(value: NDArray[Any], interval: NDArray[Any]) -> list[Estimate]:
    return [(float(v), float(a), float(b)) for v, a, b in zip(value, *interval, strict=True)]


@contextlib.contextmanager
def _fixed_random_numbers() -> Iterator[None]:
    """Make the same scores give the same interval: rliable draws from numpy's global generator,
    whatever generator it is given."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)
