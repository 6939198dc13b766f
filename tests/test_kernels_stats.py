"""Welch, Fieller, Holm and nested variance components against scipy, statsmodels and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.kernels import stats

# Two arms of six patients with 1 to 5 lesions each, as the virtual trial has them.
COUNTS = (np.array([1, 2, 3, 3, 4, 5]), np.array([1, 1, 2, 4, 5, 5]))
TRIALS = 4000
# Three standard errors of a proportion of 0.95 in TRIALS trials: 0.0103.
MONTE_CARLO = 3 * np.sqrt(0.95 * 0.05 / TRIALS)


def patient_means(
    rng: np.random.Generator, counts: np.ndarray, between: float, within: float
) -> np.ndarray:
    """Means (TRIALS, patient) of normal lesion values around zero."""
    patient = rng.normal(0, between, (TRIALS, counts.size))
    return patient + rng.normal(0, within, (TRIALS, counts.size)) / np.sqrt(counts)


@pytest.mark.parametrize("sizes", [(6, 6), (2, 9), (5, 3)])
def test_welch_is_scipys(sizes):
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 1, sizes[0]), rng.normal(1, 3, sizes[1])
    expected = ttest_ind(second, first, equal_var=False)
    difference = stats.welch(first, second)
    low, high = stats.interval(difference)
    # Same sums in double precision: rounding only.
    assert_allclose(stats.p_value(difference), expected.pvalue, rtol=1e-12)
    assert_allclose(difference.freedom, expected.df, rtol=1e-12)
    assert_allclose((low, high), expected.confidence_interval(0.95), rtol=1e-10)


def test_arms_without_any_spread_have_no_interval():
    difference = stats.welch(np.full(6, 0.1), np.full(6, 0.3))
    assert_allclose(difference.estimate, 0.2, rtol=1e-12)
    assert np.isnan(difference.standard_error)
    assert np.isnan(stats.p_value(difference))


@pytest.mark.parametrize("correlation", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("arm_spread", [1.0, 2.0])
def test_welch_on_patient_means_covers_the_truth_in_95_percent(correlation, arm_spread):
    """Six and six patients, one to five lesions, the second arm as wide or twice as wide."""
    rng = np.random.default_rng(int(100 * correlation + arm_spread))
    between, within = np.sqrt(correlation), np.sqrt(1 - correlation)
    arms = [
        scale * patient_means(rng, counts, between, within)
        for counts, scale in zip(COUNTS, (1.0, arm_spread), strict=True)
    ]
    low, high = stats.interval(stats.welch(*arms))
    assert abs(np.mean((low <= 0) & (high >= 0)) - 0.95) <= MONTE_CARLO


def test_the_z_interval_would_not_cover():
    """Why t: the same trials with 1.96 standard errors cover about 92 %, far outside 95 +- 1."""
    rng = np.random.default_rng(7)
    arms = [patient_means(rng, counts, np.sqrt(0.5), np.sqrt(0.5)) for counts in COUNTS]
    difference = stats.welch(*arms)
    covered = np.mean(np.abs(difference.estimate) <= 1.959964 * difference.standard_error)
    assert covered < 0.95 - 2 * MONTE_CARLO


def test_fieller_of_a_known_denominator_is_the_scaled_t_interval():
    second = np.array([3.0, 4.0, 6.0, 7.0])
    ratio = stats.fieller(np.full(4, 2.0), second)
    half = 3.182446305284264 * second.std(ddof=1) / 2  # t(3) at 0.975, from tables
    assert_allclose(ratio, ((5.0) / 2, (5 - half) / 2, (5 + half) / 2), rtol=1e-10)


def test_fiellers_limits_solve_fiellers_equation():
    rng = np.random.default_rng(3)
    first, second = rng.normal(5, 1, 6), rng.normal(7, 3, 8)
    ratio = stats.fieller(first, second)
    variance = first.var(ddof=1) / 6, second.var(ddof=1) / 8
    scaled = ratio.estimate**2 * variance[0], variance[1]
    from scipy.stats import t

    freedom = sum(scaled) ** 2 / (scaled[0] ** 2 / 5 + scaled[1] ** 2 / 7)
    for limit in (ratio.low, ratio.high):
        statistic = (second.mean() - limit * first.mean()) ** 2 / (
            variance[1] + limit**2 * variance[0]
        )
        assert_allclose(statistic, t.ppf(0.975, freedom) ** 2, rtol=1e-9)
    assert ratio.low < ratio.estimate < ratio.high


def test_a_denominator_that_may_be_zero_leaves_the_ratio_unbounded():
    ratio = stats.fieller(np.array([-1.0, 0.5, 1.5, 0.2]), np.array([3.0, 4.0, 5.0, 4.0]))
    assert ratio.estimate > 0
    assert np.isnan([ratio.low, ratio.high]).all()


def test_a_denominator_below_zero_has_no_ratio():
    ratio = stats.fieller(np.array([-3.0, -2.9, -3.1]), np.array([3.0, 4.0, 5.0]))
    assert np.isnan(ratio).all()


@pytest.mark.parametrize("spread", [(0.3, 0.3), (0.2, 0.6)])
def test_fieller_covers_the_truth_in_95_percent(spread):
    rng = np.random.default_rng(5)
    first = rng.normal(1.0, spread[0], (TRIALS, 6))
    second = rng.normal(1.5, spread[1], (TRIALS, 6))
    ratio = stats.fieller(first, second)
    covered = (ratio.low <= 1.5) & (ratio.high >= 1.5)
    # Satterthwaite's t is itself approximate at n = 6: half a percent beside the Monte Carlo error.
    assert abs(covered.mean() - 0.95) <= MONTE_CARLO + 0.005


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    expected = multipletests(p, method="holm")[1]
    assert_allclose(stats.holm(np.array(p)), expected, rtol=1e-12, atol=1e-300)


def balanced(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two arms of five subjects with four values each."""
    subject = np.repeat(np.arange(10), 4)
    values = rng.normal(0, 1.5, 10)[subject] + rng.normal(0, 0.7, 40)
    return values, subject, subject // 5


def test_balanced_components_are_the_analysis_of_variance():
    values, subject, arm = balanced(np.random.default_rng(2))
    table = values.reshape(10, 4)
    within = table.var(axis=1, ddof=1).mean()
    means = table.mean(axis=1).reshape(2, 5)
    between = means.var(axis=1, ddof=1).mean() - within / 4
    found = stats.components(values, subject, arm)
    assert_allclose(found.within[0], within, rtol=1e-12)
    assert_allclose(found.between[0], between, rtol=1e-9)  # root found to 1e-12 of the ratio
    assert_allclose(found.share[0], between / (between + within), rtol=1e-9)


def test_unbalanced_components_are_near_restricted_maximum_likelihood():
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    rng = np.random.default_rng(11)
    counts = np.tile(np.concatenate(COUNTS), 8)
    subject = np.repeat(np.arange(counts.size), counts)
    arm = (subject % 12) // 6
    values = arm + rng.normal(0, 1.0, counts.size)[subject] + rng.normal(0, 0.8, subject.size)
    found = stats.components(values, subject, arm)
    frame = pd.DataFrame({"value": values, "arm": arm})
    fit = MixedLM.from_formula("value ~ arm", frame, groups=subject).fit(reml=True)
    # Different estimators of the same two numbers: they agree far inside their standard errors.
    assert_allclose(found.between[0], fit.cov_re.iloc[0, 0], rtol=0.05)
    assert_allclose(found.within[0], fit.scale, rtol=0.05)


@pytest.mark.parametrize("correlation", [0.2, 0.8])
def test_component_intervals_cover_the_truth(correlation):
    trials = 600
    error = 3 * np.sqrt(0.95 * 0.05 / trials)
    rng = np.random.default_rng(int(10 * correlation))
    counts = np.concatenate(COUNTS)
    subject = np.repeat(np.arange(12), counts)
    truth = {"between": correlation, "within": 1 - correlation, "share": correlation}
    covered = dict.fromkeys(truth, 0)
    for _ in range(trials):
        values = rng.normal(0, np.sqrt(correlation), 12)[subject]
        values = values + rng.normal(0, np.sqrt(1 - correlation), subject.size)
        found = stats.components(values, subject, subject // 6)
        for name, value in truth.items():
            _, low, high = getattr(found, name)
            covered[name] += low <= value <= high
    assert abs(covered["share"] / trials - 0.95) <= error  # exact
    assert abs(covered["within"] / trials - 0.95) <= error  # exact
    # The variance within is taken as known: 1.5 % beside the Monte Carlo error.
    assert abs(covered["between"] / trials - 0.95) <= error + 0.015


def test_one_value_per_subject_has_no_components():
    found = stats.components(np.arange(4.0), np.arange(4), np.array([0, 0, 1, 1]))
    assert np.isnan([found.between, found.within, found.share]).all()


def test_one_subject_per_arm_has_only_the_variance_within():
    found = stats.components(
        np.array([1.0, 2.0, 4.0, 5.0]), np.array([0, 0, 1, 1]), np.arange(4) // 2
    )
    assert np.isfinite(found.within).all()
    assert np.isnan([found.between, found.share]).all()
