"""Ratios of exposures: Fieller and log-delta, independent and paired, and what has no bounds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from igdd.errors import InputError
from igdd.kernels.sparse_exposure import area
from igdd.kernels.sparse_means import Sparse
from igdd.kernels.tissue_ratio import independent_ratio, paired_ratio
from igdd.kernels.trapezoid import trapezoid_weights

TIMES = np.array([1.0, 2.0, 4.0, 8.0])
TRUE = 2.5
CURVE = 8 * np.exp(-0.3 * TIMES)


def serial_pair(generator: np.random.Generator, animals: int, shared: float, own: float):
    """Tissue and plasma of animals killed at one time each; `shared` scatter is common to both."""
    count = TIMES.size * animals
    time = np.repeat(np.arange(TIMES.size), animals)
    tissue, plasma = np.full((2, count, TIMES.size), np.nan)
    common = generator.standard_normal(count) * shared
    for matrix, height in ((tissue, TRUE), (plasma, 1.0)):
        scatter = np.exp(common + own * generator.standard_normal(count))
        matrix[np.arange(count), time] = height * CURVE[time] * scatter
    return tissue, plasma


def test_a_paired_ratio_of_complete_profiles_is_fiellers_of_the_areas():
    generator = np.random.default_rng(0)
    plasma = CURVE * generator.lognormal(0, 0.3, (9, 1))
    tissue = TRUE * plasma * generator.lognormal(0, 0.1, (9, 1))
    weights = trapezoid_weights(TIMES)
    upper, lower = tissue @ weights, plasma @ weights
    found = paired_ratio((tissue, TIMES), (plasma, TIMES))
    ratio = upper.mean() / lower.mean()
    assert_allclose(found.estimate, ratio)
    assert_allclose(found.freedom, 8)
    rest = (upper - ratio * lower).std(ddof=1) / 3
    assert_allclose(found.standard_error, rest / lower.mean())
    # Fieller's limits are where the paired t test of upper - r lower just gives p = 0.05
    for limit in (float(found.fieller_low), float(found.fieller_high)):
        assert_allclose(stats.ttest_1samp(upper - limit * lower, 0).pvalue, 0.05, rtol=1e-6)


def test_what_tissue_and_plasma_share_drops_out():
    tissue, plasma = serial_pair(np.random.default_rng(1), 6, shared=0.4, own=0.05)
    paired = paired_ratio((tissue, TIMES), (plasma, TIMES))
    apart = independent_ratio(area(tissue, TIMES), area(plasma, TIMES))
    assert_allclose(paired.estimate, apart.estimate)
    assert paired.standard_error < 0.4 * apart.standard_error


@pytest.mark.parametrize("start", ["first_sample", "zero", "bolus"])
def test_proportional_tissues_have_an_exact_ratio(start):
    _, plasma = serial_pair(np.random.default_rng(2), 4, shared=0.3, own=0.3)
    found = paired_ratio((3.0 * plasma, TIMES), (plasma, TIMES), start=start)
    assert_allclose(found.estimate, 3.0)
    assert_allclose(found.standard_error, 0, atol=1e-6)  # root of a rounded zero


def test_paired_intervals_cover_as_they_say():
    generator = np.random.default_rng(3)
    trials = 4000
    pairs = [serial_pair(generator, 4, shared=0.3, own=0.2) for _ in range(trials)]
    tissue, plasma = (np.array(one) for one in zip(*pairs, strict=True))
    found = paired_ratio((tissue, TIMES), (plasma, TIMES))
    for low, high in ((found.log_low, found.log_high), (found.fieller_low, found.fieller_high)):
        share = ((low <= TRUE) & (high >= TRUE)).mean()
        assert 0.93 <= share <= 0.97  # 0.95 has a standard error of 0.0034


def test_a_missing_partner_costs_no_more_than_its_own_value():
    tissue, plasma = serial_pair(np.random.default_rng(4), 4, shared=0.2, own=0.2)
    short = plasma.copy()
    short[5] = np.nan
    found = paired_ratio((tissue, TIMES), (short, TIMES))
    apart = independent_ratio(area(tissue, TIMES), area(np.delete(short, 5, axis=0), TIMES))
    assert_allclose(found.estimate, apart.estimate)
    assert found.freedom > 1


def test_other_animals_in_tissue_and_plasma_are_independent():
    generator = np.random.default_rng(6)
    tissue, plasma = serial_pair(generator, 4, shared=0.2, own=0.2)
    blank = np.full_like(plasma, np.nan)
    found = paired_ratio((np.vstack([tissue, blank]), TIMES), (np.vstack([blank, plasma]), TIMES))
    apart = independent_ratio(area(tissue, TIMES), area(plasma, TIMES))
    for one, other in zip(found, apart, strict=True):
        assert_allclose(one, other)


def test_times_of_tissue_and_plasma_may_differ():
    generator = np.random.default_rng(7)
    plasma = CURVE * generator.lognormal(0, 0.3, (9, 1))
    tissue = TRUE * plasma * generator.lognormal(0, 0.1, (9, 1))
    found = paired_ratio((tissue[:, [0, 3]], TIMES[[0, 3]]), (plasma, TIMES))
    upper = tissue[:, [0, 3]] @ trapezoid_weights(TIMES[[0, 3]])
    lower = plasma @ trapezoid_weights(TIMES)
    ratio = upper.mean() / lower.mean()
    assert_allclose(found.estimate, ratio)
    assert_allclose(found.standard_error, (upper - ratio * lower).std(ddof=1) / 3 / lower.mean())


def test_an_unsure_denominator_takes_fieller_and_may_have_no_bounds():
    upper = Sparse(np.array(4.0), np.array(0.4), np.array(10.0))
    sure = independent_ratio(upper, Sparse(np.array(2.0), np.array(0.2), np.array(10.0)))
    unsure = independent_ratio(upper, Sparse(np.array(2.0), np.array(0.4), np.array(10.0)))
    endless = independent_ratio(upper, Sparse(np.array(2.0), np.array(1.5), np.array(10.0)))
    assert not sure.by_fieller
    assert_allclose([sure.low, sure.high], [sure.log_low, sure.log_high])
    assert unsure.by_fieller
    assert_allclose([unsure.low, unsure.high], [unsure.fieller_low, unsure.fieller_high])
    assert np.isnan([endless.low, endless.high]).all()


@pytest.mark.parametrize("below", [0.0, -1.0])
def test_a_denominator_not_above_zero_has_no_ratio(below):
    found = independent_ratio(
        Sparse(np.array(4.0), np.array(0.4), np.array(10.0)),
        Sparse(np.array(below), np.array(0.4), np.array(10.0)),
    )
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_the_inverse_ratio_has_inverse_limits():
    first = Sparse(np.array(4.0), np.array(0.4), np.array(8.0))
    second = Sparse(np.array(2.0), np.array(0.3), np.array(8.0))
    one, other = independent_ratio(first, second), independent_ratio(second, first)
    assert_allclose(one.log_low, 1 / other.log_high)
    assert_allclose(one.fieller_high, 1 / other.fieller_low)


def test_rows_that_are_not_the_same_animals_are_refused():
    times = np.array([1.0, 2.0])
    with pytest.raises(InputError, match="each animal"):
        paired_ratio((np.ones((3, 2)), times), (np.ones((4, 2)), times))
