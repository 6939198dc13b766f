"""Estimates: what is shared within a scan cancels in ratios and adds linearly in sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.uncertainty import Estimate, ratio, total

POSITIVE = st.floats(0.1, 100.0)


def test_the_interval_is_normal():
    low, high = Estimate(value=10.0, sd=1.0).interval
    assert (round(low, 4), round(high, 4)) == (8.04, 11.96)  # 1.96 standard deviations


def test_a_product_agrees_with_drawn_samples():
    rng = np.random.default_rng(1)
    found = Estimate(value=5.0, sd=0.1).times(3.0, cv_random=0.02, cv_shared=0.03)
    draws = rng.normal(5, 0.1, 400_000) * 3 * rng.normal(1, 0.02, 400_000)
    draws *= rng.normal(1, 0.03, 400_000)
    # 400,000 draws know a standard deviation to 0.11 %; second-order terms are below 0.1 %.
    assert found.sd == pytest.approx(draws.std(), rel=0.005)


@given(POSITIVE, POSITIVE, st.floats(0.0, 0.3))
def test_a_ratio_drops_what_both_share(upper, lower, cv):
    parts = [Estimate(value=v, sd=cv * v, sd_shared=cv * v) for v in (upper, lower)]
    assert ratio(*parts).sd == pytest.approx(0.0, abs=1e-6 * upper / lower)  # square root of 1e-16


def test_a_ratio_to_zero_is_not_known():
    assert np.isnan(ratio(Estimate(value=1.0, sd=0.1), Estimate(value=0.0, sd=0.1)).value)


@given(st.lists(POSITIVE, min_size=1, max_size=6), st.floats(0.0, 0.3))
def test_shared_parts_add_linearly(values, cv):
    whole = total([Estimate(value=v, sd=cv * v, sd_shared=cv * v) for v in values])
    assert whole.sd == pytest.approx(cv * sum(values), rel=1e-9)  # rounding


def test_a_sum_takes_the_covariance_of_its_random_parts():
    parts = [Estimate(value=1.0, sd=1.0), Estimate(value=2.0, sd=1.0)]
    anti = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert total(parts, anti).sd == 0.0


def test_an_unknown_uncertainty_stays_unknown():
    assert np.isnan(Estimate(value=1.0).times(2.0).sd)
