"""Exponentials of one to three compartments against eigenvalues, inverses and limits."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels.disposition import (
    clearance_parameters,
    disposition,
    from_exponentials,
    macro_constants,
    micro_constants,
    system_matrix,
)


def likely(count: int, compartments: int, spread: float = 1.0) -> np.ndarray:
    draws = np.random.default_rng(3).standard_normal((count, 2 * compartments))
    return np.exp(spread * draws)


@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_rates_are_the_eigenvalues_of_the_system(compartments):
    parameters = likely(300, compartments)
    found = disposition(parameters)
    matrix = system_matrix(micro_constants(parameters))
    expected = np.sort(-np.linalg.eigvals(matrix).real, axis=1)[:, ::-1]
    # eigvals of an unsymmetric matrix: rounding times its condition
    np.testing.assert_allclose(found.rates, expected, rtol=1e-9)


@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_shares_are_positive_and_one_together(compartments):
    found = disposition(likely(2000, compartments, 2.0))
    assert (found.shares > -1e-14).all()
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0, rtol=1e-9)


@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_the_area_is_dose_over_clearance(compartments):
    parameters = likely(500, compartments)
    found = disposition(parameters)
    area = (found.shares / found.rates).sum(axis=1) / found.volume
    np.testing.assert_allclose(area, 1 / parameters[:, 0], rtol=1e-10)


@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_the_mean_residence_time_is_vss_over_clearance(compartments):
    parameters = likely(500, compartments)
    found = disposition(parameters)
    first, second = ((found.shares / found.rates**power).sum(axis=1) for power in (1, 2))
    expected = parameters[:, 1::2].sum(axis=1) / parameters[:, 0]
    np.testing.assert_allclose(second / first, expected, rtol=1e-9)


def test_a_very_slow_rate_keeps_its_digits():
    # k10 k21 k31 is the product of the rates, exactly: a slow one is not lost beside a fast one
    micro = np.array([[50.0, 40.0, 1e-3, 30.0, 1e-9]])
    rates, _ = macro_constants(micro)
    np.testing.assert_allclose(rates.prod(), 50.0 * 1e-3 * 1e-9, rtol=1e-12)


@pytest.mark.parametrize(
    "micro",
    [
        [[0.5, 0.0, 0.0]],
        [[0.0, 0.3, 0.2]],
        [[0.2, 0.0, 0.2]],
        [[0.5, 0.3, 0.2, 0.0, 0.2]],
        [[0.5, 0.3, 0.2, 0.3, 0.2]],
        [[0.5, 0.0, 0.0, 0.0, 0.0]],
    ],
)
def test_limits_have_values(micro):
    rates, shares = macro_constants(np.array(micro))
    assert np.isfinite(rates).all()
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(), 1.0, rtol=1e-12)
    # the slope at time zero is minus all that leaves the central compartment
    leaving = np.array(micro)[0][[0, *range(1, len(micro[0]), 2)]].sum()
    np.testing.assert_allclose((rates * shares).sum(), leaving, rtol=1e-9)


@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_exponentials_lead_back_to_micro_constants_and_clearances(compartments):
    parameters = likely(200, compartments)
    micro = micro_constants(parameters)
    if compartments == 3:  # which peripheral compartment is which, the curve does not say
        swap = micro[:, 2] < micro[:, 4]
        micro[swap] = micro[swap][:, [0, 3, 4, 1, 2]]
        parameters[swap] = parameters[swap][:, [0, 1, 4, 5, 2, 3]]
    back = from_exponentials(*macro_constants(micro))
    # two rates that nearly meet cost digits on the way back
    np.testing.assert_allclose(back, micro, rtol=1e-5)
    again = clearance_parameters(micro, parameters[:, 1])
    np.testing.assert_allclose(again, parameters, rtol=1e-12)


@pytest.mark.parametrize("compartments", [2, 3])
def test_a_complex_step_gives_the_derivative(compartments):
    parameters = likely(50, compartments)
    for column in range(2 * compartments):
        step = 1e-6 * parameters[:, column]
        up, down, turned = parameters.copy(), parameters.copy(), parameters.astype(complex)
        up[:, column] += step
        down[:, column] -= step
        turned[:, column] += 1e-30j * parameters[:, column]
        slope = disposition(turned).rates.imag / (1e-30 * parameters[:, column])[:, None]
        secant = (disposition(up).rates - disposition(down).rates) / (2 * step)[:, None]
        size = np.abs(secant).max(axis=1, keepdims=True)
        # central differences: the cube of the step over what rounding leaves of it
        np.testing.assert_allclose(slope / size, secant / size, atol=1e-7)


def test_what_is_not_known_stays_so():
    found = disposition(
        np.array([[1.0, 2.0, 1.0, 3.0, np.nan, 2.0], [1.0, 2.0, 1.0, 3.0, 1.0, 2.0]])
    )
    assert np.isnan(found.rates[0]).all()
    assert np.isfinite(found.rates[1]).all()
