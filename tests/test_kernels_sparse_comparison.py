"""Comparisons of sparse designs: t against bootstrap-t, p against intervals, what has no limits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.sparse_comparison import (
    bootstrap_difference,
    bootstrap_interval,
    interval,
    p_value,
)
from igdd.kernels.sparse_exposure import area
from igdd.kernels.sparse_means import Sparse


def serial(samples: np.ndarray) -> np.ndarray:
    """Samples (trial, time, replicate) as a design of one animal a sample (trial, animal, time)."""
    trials, times, replicates = samples.shape
    values = np.full((trials, times * replicates, times), np.nan)
    for time in range(times):
        values[:, time * replicates : (time + 1) * replicates, time] = samples[:, time]
    return values


def test_bootstrap_t_agrees_with_t_where_t_is_exact():
    generator = np.random.default_rng(2)
    values = generator.normal(10, 1, (40, 3))
    times = np.array([0.0, 1.0, 2.0])
    low, high = bootstrap_interval(values, lambda one: area(one, times), generator)
    expected_low, expected_high = interval(area(values, times))
    width = float(expected_high - expected_low)
    # 2,000 draws: a quantile of t has a relative error of some 5 %
    assert_allclose([low, high], [expected_low, expected_high], atol=0.1 * width)


def test_bootstrap_t_of_a_difference_covers_it():
    times = np.array([1.0, 2.0, 4.0])
    generator = np.random.default_rng(9)
    hits, trials = 0, 200
    for _ in range(trials):
        groups = tuple(
            serial(generator.lognormal(0, 0.3, (1, 3, 5)) * height)[0] for height in (1.0, 1.5)
        )
        low, high = bootstrap_difference(
            groups, (lambda one: area(one, times),) * 2, generator, draws=400
        )
        true = 0.5 * np.exp(0.045) * 3
        hits += low <= true <= high
    assert 0.88 <= hits / trials <= 0.99  # 0.95 within 4.5 standard errors of 200 trials


def test_a_bootstrap_without_scatter_has_no_limits():
    values = np.ones((3, 2))
    found = bootstrap_interval(
        values, lambda one: area(one, np.array([0.0, 1.0])), np.random.default_rng(0)
    )
    assert np.isnan(found).all()


def test_p_is_where_the_interval_touches_zero():
    found = Sparse(np.array(2.0), np.array(0.7), np.array(5.0))
    low, _ = interval(found, 1 - float(p_value(found)))
    assert_allclose(low, 0, atol=1e-9)


def test_a_level_out_of_range_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        interval(Sparse(np.array(2.0), np.array(0.7), np.array(5.0)), 95)
