"""Pooled regression: against least squares, against a mixed model, and what its intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from igdd.kernels.pooled_regression import (
    Prediction,
    effective_size,
    fit_pooled,
    predict,
    predictive_rank,
    sample_rank,
)


def _simulated(seed: int, count: int = 120, spread: float = 0.8):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 8, count)
    design = np.column_stack([np.ones(count), rng.normal(size=count)])
    effects = rng.normal(scale=spread, size=8)
    response = design @ np.array([0.3, -0.7]) + effects[groups] + rng.normal(size=count)
    return response, design, groups


def test_without_groups_it_is_least_squares():
    response, design, _ = _simulated(1)
    fit = fit_pooled(response, design, ())
    expected, residual, *_ = np.linalg.lstsq(design, response, rcond=None)
    assert_allclose(fit.coefficients, expected, rtol=1e-10)
    assert_allclose(fit.variance, residual[0] / (len(response) - 2), rtol=1e-10)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_one_factor_is_the_mixed_model_of_another_program(seed):
    import warnings

    import statsmodels.api as sm

    response, design, groups = _simulated(seed)
    fit = fit_pooled(response, design, (groups,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = sm.MixedLM(response, design, groups).fit(reml=True, method=["powell", "lbfgs"])
    # 1e-3: where both optimisers stop on a flat likelihood
    assert_allclose(fit.coefficients[:2], other.fe_params, rtol=1e-3, atol=1e-3)
    assert_allclose(fit.variance, other.scale, rtol=2e-3)
    assert_allclose(fit.ratios[0] * fit.variance, float(other.cov_re[0, 0]), rtol=0.02)
    effects = np.array([float(other.random_effects[code].iloc[0]) for code in range(8)])
    assert_allclose(fit.coefficients[2:], effects, atol=5e-3)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_series_is_a_factor_that_is_not_kept(seed):
    response, design, groups = _simulated(seed)
    kept = fit_pooled(response, design, (groups,))
    absorbed = fit_pooled(response, design, (), groups)
    # two searches of one likelihood
    assert_allclose(absorbed.series_ratio, kept.ratios[0], rtol=1e-3)
    assert_allclose(absorbed.coefficients, kept.coefficients[:2], rtol=1e-3, atol=1e-4)
    assert_allclose(absorbed.variance, kept.variance, rtol=1e-3)
    assert absorbed.freedom == 8 - 2
    new = predict(absorbed, np.array([1.0, 0.0]), ())
    assert_allclose(new.variance, absorbed.variance * (1 + absorbed.series_ratio))


def test_percentiles_of_new_series_are_covered():
    rng = np.random.default_rng(8)
    covered, naive = [], []
    truth = np.array([0.3, -0.7])
    for _ in range(100):
        series = np.repeat(np.arange(20), 3)
        common = np.column_stack([np.ones(20), rng.normal(size=20)])[series]
        response = common @ truth + rng.normal(size=20)[series] + 0.5 * rng.normal(size=60)
        row, exact = np.array([1.0, 0.5]), rng.normal() * np.sqrt(1.25)
        value = float(row @ truth) + exact
        true = 100 * float(special.ndtr(exact / np.sqrt(1.25)))
        for found, given in ((covered, series), (naive, None)):
            expected = predict(fit_pooled(response, common, (), given), row, ())
            rank = predictive_rank(value, 0.0, expected)
            found.append(rank.low <= true <= rank.high)
    # 100 trials: 95 % has a standard error of 2.2 %; three of them below
    assert np.mean(covered) > 0.884
    assert np.mean(naive) < np.mean(covered)


def test_the_worth_of_a_sample():
    assert effective_size(np.arange(10), 0.9) == 10.0
    assert_allclose(effective_size(np.zeros(10), 1.0), 1.0)
    assert_allclose(effective_size(np.array([0, 0, 1, 1]), 0.5), 4 / 1.5)


def test_a_small_group_is_drawn_to_the_mean_of_all():
    rng = np.random.default_rng(5)
    groups = np.array([0] * 60 + [1] * 60 + [2] * 2)
    response = rng.normal(size=122) + np.where(groups == 2, 3.0, np.where(groups == 1, 0.5, 0.0))
    fit = fit_pooled(response, np.ones((122, 1)), (groups,))
    row = np.ones(1)
    own = predict(fit, row, (2,)).mean
    raw = response[groups == 2].mean()
    middle = float(fit.coefficients[0])
    assert middle < own < raw
    # An unknown group has the spread between groups in its uncertainty, a large one hardly.
    unknown = predict(fit, row, (None,)).variance_of_mean
    assert (
        unknown
        > predict(fit, row, (2,)).variance_of_mean
        > predict(fit, row, (0,)).variance_of_mean
    )


def test_predictive_percentiles_are_uniform_and_their_intervals_cover():
    covered, percentiles = [], []
    rng = np.random.default_rng(6)
    truth = np.array([0.3, -0.7])
    for _ in range(600):
        design = np.column_stack([np.ones(30), rng.normal(size=30)])
        response = design @ truth + 1.3 * rng.normal(size=30)
        fit = fit_pooled(response, design, ())
        row = np.array([1.0, rng.normal()])
        exact = float(row @ truth) + 1.3 * rng.normal()
        seen = exact + 0.3 * rng.normal()
        rank = predictive_rank(seen, 0.3, predict(fit, row, ()))
        true = 100 * float(special.ndtr((exact - row @ truth) / 1.3))
        covered.append(rank.low <= true <= rank.high)
        percentiles.append(predictive_rank(exact, 0.0, predict(fit, row, ())).percentile)
    # 600 trials: 95 % has a standard error of 0.9 %; three of them, and 1 % for the delta method
    assert 0.913 <= np.mean(covered) <= 0.987
    # Student's predictive distribution is exact: uniform percentiles
    assert stats.kstest(np.array(percentiles) / 100, "uniform").pvalue > 0.001


def test_a_wider_scatter_of_the_value_widens_the_interval_and_leaves_the_percentile():
    expected = Prediction(0.0, 0.01, 1.0, 100)
    sharp, wide = (predictive_rank(0.7, sd, expected) for sd in (0.0, 0.5))
    assert sharp.percentile == wide.percentile
    assert wide.low < sharp.low < sharp.percentile < sharp.high < wide.high


def test_without_a_scatter_of_its_own_a_sample_rank_has_jeffreys_interval():
    sample = np.arange(40.0)
    rank = sample_rank(9.5, 0.0, sample)
    assert rank.percentile == 25.0
    expected = 100 * stats.beta.ppf([0.025, 0.975], 10.5, 30.5)
    assert_allclose([rank.low, rank.high], expected, atol=0.2)  # of 200 steps of probability


def test_the_sample_interval_covers_the_population_share():
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(600):
        exact = rng.normal()
        seen = exact + 0.4 * rng.normal()
        rank = sample_rank(seen, 0.4, rng.normal(size=25))
        covered.append(rank.low <= 100 * special.ndtr(exact) <= rank.high)
    # three standard errors of 600 trials (0.9 %), on the wide side: Jeffreys' is near nominal
    assert 0.923 <= np.mean(covered) <= 1.0


def test_a_rank_among_nobody_is_unknown():
    assert np.isnan(sample_rank(1.0, 0.1, np.array([]))).all()


def test_ties_count_by_half():
    assert sample_rank(1.0, 0.0, np.array([0.0, 1.0, 1.0, 2.0])).percentile == 50.0
