"""Allometry: powers of weight exactly, fitted exponents against another program, coverage."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.kernels.allometry import (
    EXPONENTS,
    Exponent,
    exponent_interval,
    fit_line,
    predicted,
    scaled,
)

WEIGHT = np.array([0.025, 0.25, 3.0, 10.0, 70.0])


@given(st.floats(1e-3, 1e3), st.floats(1e-4, 1e4), st.floats(-1.5, 1.5), st.floats(0.0, 0.5))
def test_there_and_back_again(value, ratio, power, sd):
    there = scaled(value, ratio, Exponent(power, sd, ""))
    back = scaled(there.value, 1 / ratio, Exponent(power, sd, ""))
    assert_allclose(back.value, value, rtol=1e-9)
    assert there.low <= there.value <= there.high


def test_the_band_is_that_of_the_exponents_scatter():
    rng = np.random.default_rng(1)
    drawn = 5.0 * 2800.0 ** rng.normal(0.74, 0.16, 100_000)
    band = scaled(5.0, 2800.0, EXPONENTS["clearance"])
    # 100,000 draws: quantiles of the logarithm to 1 % of its sd of 1.27
    assert_allclose(np.log(np.percentile(drawn, [2.5, 97.5])), np.log(band[1:3]), atol=0.04)


def test_scatters_add_in_quadrature():
    # A log-normal value of which the logarithm has an sd of 0.4.
    cv = np.sqrt(np.expm1(0.4**2))
    band = scaled(1.0, np.e, Exponent(0.0, 0.3, ""), relative_sd=cv, fold_sd=1.2)
    assert_allclose(band.log_sd, 1.3)


def test_a_mouse_half_life_of_liposomes_predicts_the_human_one():
    # 10.3 h in nude mice, 76.1 h in patients, one agent (Harrington et al. 2000, 2001).
    band = scaled(10.3, 70.0 / 0.025, EXPONENTS["half_life"])
    assert band.low < 76.1 < band.high
    assert_allclose(band.value, 81.1, atol=0.05)


def test_the_fit_is_that_of_another_program():
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    value = 4.0 * WEIGHT**0.7 * np.exp(0.2 * rng.normal(size=5))
    line = fit_line(WEIGHT, value)
    other = sm.OLS(np.log(value), sm.add_constant(np.log(WEIGHT))).fit()
    assert_allclose([line.log_scale, line.exponent], other.params, rtol=1e-10)
    assert_allclose(exponent_interval(line), other.conf_int()[1], rtol=1e-8)
    frame = other.get_prediction([[1.0, np.log(30.0)]]).summary_frame()
    band = predicted(line, 30.0)
    assert_allclose(
        np.log([band.low, band.high]),
        [frame["obs_ci_lower"].iloc[0], frame["obs_ci_upper"].iloc[0]],
        rtol=1e-8,
    )


def test_prediction_intervals_cover_a_new_species():
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(1000):
        noise = np.exp(0.3 * rng.normal(size=6))
        known = 2.0 * WEIGHT**0.75 * noise[:5]
        band = predicted(fit_line(WEIGHT, known), 40.0)
        covered.append(band.low <= 2.0 * 40.0**0.75 * noise[5] <= band.high)
    # Student's t is exact here: 95 % with a standard error of 0.7 %; three of them
    assert 0.929 <= np.mean(covered) <= 0.971
