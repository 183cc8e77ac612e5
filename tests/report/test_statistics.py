"""How sure results are: the report's intervals, and its statistics over tasks and seeds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from cdred.report.statistics import (
    bootstrap_interval,
    interquartile_mean,
    interquartile_means,
    performance_profile,
    probability_of_improvement,
)


def test_statistics_over_tasks_are_their_definitions() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.normal(0.6, 0.2, (5, 3)), generator.normal(0.5, 0.2, (5, 3))
    value, low, high = interquartile_mean(x)
    assert value == pytest.approx(scipy.stats.trim_mean(x.ravel(), 0.25))
    # The stratified bootstrap by hand: seeds drawn with replacement within each task.
    drawn = generator.integers(0, 5, (4000, 5, 3))
    means = [scipy.stats.trim_mean(x[d, np.arange(3)].ravel(), 0.25) for d in drawn]
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.02)
    assert interquartile_mean(x) == (value, low, high)

    above = (x[:, None] > y[None]).mean((0, 1)).mean()
    value, low, high = probability_of_improvement(x, y)
    assert value == pytest.approx(above)
    assert low < value < high
    assert probability_of_improvement(x, x)[0] == pytest.approx(0.5)


def test_a_profile_is_the_share_of_scores_above_each_level() -> None:
    generator = np.random.default_rng(4)
    x, levels = generator.normal(0.6, 0.2, (6, 2)), np.linspace(0, 1, 9)
    found = performance_profile(x, levels)
    assert [value for value, _, _ in found] == [(x > level).mean() for level in levels]
    # The stratified bootstrap by hand, as above.
    drawn = np.stack([x[d, np.arange(2)] for d in generator.integers(0, 6, (4000, 6, 2))])
    shares = (drawn[..., None] > levels).mean((1, 2))
    ends = np.percentile(shares, [2.5, 97.5], axis=0).T
    # Shares are multiples of 1/12: the two draws may differ by one of them at an end.
    assert np.abs(np.array(found)[:, 1:] - ends).max() < 0.09
    assert performance_profile(x, levels) == found


def test_curves_are_the_interquartile_means_of_their_points() -> None:
    generator = np.random.default_rng(5)
    curves = generator.normal(0.5, 0.3, (4, 3, 2))
    drawn = generator.integers(0, 4, (4000, 4, 3))  # by hand, as above
    for (value, low, high), x in zip(
        interquartile_means(curves), np.moveaxis(curves, 2, 0), strict=True
    ):
        assert value == pytest.approx(scipy.stats.trim_mean(x.ravel(), 0.25))
        means = [scipy.stats.trim_mean(x[d, np.arange(3)].ravel(), 0.25) for d in drawn]
        assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.03)


def test_rliables_draws_touch_nobody_elses_random_numbers() -> None:
    np.random.seed(11)
    before = np.random.get_state()[1].copy()
    interquartile_mean(np.ones((2, 1)))
    assert (np.random.get_state()[1] == before).all()  # nobody else's numbers are touched


def test_the_interval_of_one_seed_is_scipys() -> None:
    returns = np.random.default_rng(1).gamma(2, 100, 20)
    expected = scipy.stats.bootstrap(
        (returns,), np.mean, n_resamples=10_000, method="percentile", rng=5
    )
    interval = bootstrap_interval([returns])
    # Two draws of 10,000 means differ by less than a twentieth of their standard error.
    assert interval == pytest.approx(
        tuple(expected.confidence_interval), abs=0.1 * returns.std() / 20**0.5
    )
    assert interval == bootstrap_interval([returns])


def test_the_interval_of_many_episodes_is_the_normal_one() -> None:
    returns = np.random.default_rng(2).normal(500, 100, 2000)
    error = 1.96 * returns.std() / 2000**0.5
    mean = returns.mean()
    assert bootstrap_interval([returns]) == pytest.approx(
        (mean - error, mean + error), abs=0.05 * error
    )


def test_the_interval_of_several_seeds_covers_their_luck() -> None:
    # Two seeds, each without spread: their mean is 0 or 1 with a quarter each.
    assert bootstrap_interval([[0.0] * 50, [1.0] * 30]) == (0, 1)
    assert bootstrap_interval([[7.0], [7.0], [7.0]]) == (7, 7)
    # Seeds alike: drawing them first adds nothing to the spread of 60 episodes in three groups.
    values = list(np.linspace(0, 1, 20))
    error = 1.96 * float(np.std(values)) / 60**0.5
    assert bootstrap_interval([values] * 3) == pytest.approx(
        (0.5 - error, 0.5 + error), abs=0.05 * error
    )
