"""Absorption in vivo: the share absorbed by each method, and concentrations from shares."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.absorption import (
    Response,
    convolved,
    deconvolved,
    loo_riegelman,
    predicted,
    wagner_nelson,
)

DENSE = np.linspace(0, 60, 1201)
SPARSE = np.array([0.0, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 36, 48])
ONE = Response(np.array([0.1]), np.array([0.12]))
# Two compartments: k10 0.3, k12 0.2, k21 0.15, V1 10.
MICRO = (0.3, 0.2, 0.15)
_rates = np.roots([1.0, -(0.3 + 0.2 + 0.15), 0.3 * 0.15])
TWO = Response(
    np.array([(_rates[0] - 0.15), (0.15 - _rates[1])]) / (_rates[0] - _rates[1]) / 10, _rates
)


def first_order(time, ka=0.5):
    return 1 - np.exp(-ka * time)


def after_first_order(time, response, ka=0.5):
    """Concentration after first-order release of a unit dose, in closed form."""
    return sum(
        A * ka / (ka - k) * (np.exp(-k * time) - np.exp(-ka * time))
        for A, k in zip(response.amplitudes, response.rates, strict=True)
    )


def test_wagner_nelson_gives_first_order_absorption_back():
    found = wagner_nelson(DENSE, after_first_order(DENSE, ONE), 0.12)
    # trapezoids of 0.05 h: (k h)^2 / 12 of a share, and what is left after 60 h, exp(-30)
    np.testing.assert_allclose(found, first_order(DENSE), atol=1e-4)


def test_loo_riegelman_gives_first_order_absorption_back():
    found = loo_riegelman(DENSE, after_first_order(DENSE, TWO), MICRO)
    np.testing.assert_allclose(found, first_order(DENSE), atol=1e-4)


def test_one_compartment_is_two_without_exchange():
    curve = after_first_order(SPARSE, ONE)
    one, two = wagner_nelson(SPARSE, curve, 0.12), loo_riegelman(SPARSE, curve, (0.12, 0.0, 1.0))
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_an_area_from_elsewhere_says_how_much_was_absorbed_by_the_last_sample():
    early = DENSE[DENSE <= 3]
    whole = float(np.sum(ONE.amplitudes / ONE.rates))
    found = wagner_nelson(early, after_first_order(early, ONE), 0.12, area=whole)
    assert found[-1] == pytest.approx(first_order(3.0), abs=1e-4)


@pytest.mark.parametrize("response", [ONE, TWO], ids=["one", "two"])
def test_deconvolution_undoes_convolution_exactly_for_constant_rates(response):
    shares = np.array([0.0, 0.1, 0.15, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0])
    curve = predicted(SPARSE, shares, 25.0, response, SPARSE)
    np.testing.assert_allclose(
        deconvolved(SPARSE, curve, response, 25.0), shares, rtol=1e-9, atol=1e-12
    )


def test_what_is_there_at_time_zero_was_put_in_at_once():
    shares = np.linspace(0.3, 1.0, SPARSE.size)
    curve = predicted(SPARSE, shares, 1.0, TWO, SPARSE)
    assert curve[0] == pytest.approx(0.3 * TWO.amplitudes.sum())
    np.testing.assert_allclose(deconvolved(SPARSE, curve, TWO), shares, rtol=1e-9)


def test_a_dose_released_at_once_gives_the_response_itself():
    when = np.array([0.0, 1.0, 7.0])
    found = predicted(np.array([0.0, 1.0]), np.ones(2), 3.0, TWO, when)
    np.testing.assert_allclose(found, 3 * TWO.at(when), rtol=1e-14)


def test_prediction_is_the_closed_form_of_first_order_release():
    found = predicted(DENSE, first_order(DENSE), 1.0, TWO, SPARSE)
    # constant rates over 0.05 h against an exponential: (ka h)^2 / 24 of the peak
    np.testing.assert_allclose(found, after_first_order(SPARSE, TWO), atol=1e-5)


def test_convolution_of_straight_lines_is_exact():
    response = Response(np.array([2.0, 1.0]), np.array([0.3, 0.0]))
    time = np.array([0.0, 1.0, 4.0, 4.5, 20.0])
    rate = np.array([1.0, 3.0, 0.5, 0.5, 0.0])
    fine = np.union1d(time, np.linspace(0, 20, 3001))
    again = convolved(fine, np.interp(fine, time, rate), response)
    np.testing.assert_allclose(
        convolved(time, rate, response), again[np.searchsorted(fine, time)], rtol=1e-10
    )


def test_a_curve_without_a_sample_at_zero_begins_at_zero():
    curve = after_first_order(SPARSE, ONE)
    later = wagner_nelson(SPARSE[1:], curve[1:], 0.12)
    np.testing.assert_allclose(later, wagner_nelson(SPARSE, curve, 0.12)[1:], rtol=1e-12)
    assert later.size == SPARSE.size - 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wagner_nelson(SPARSE, np.zeros(13), 0.1), "nothing is absorbed"),
        (lambda: wagner_nelson(SPARSE, np.ones(13), 0.0), "k10 0"),
        (lambda: wagner_nelson(SPARSE[:1], np.ones(1), 0.1), "two or more"),
        (lambda: wagner_nelson(-SPARSE, np.ones(13), 0.1), "ascending times"),
        (lambda: wagner_nelson(SPARSE, np.full(13, np.nan), 0.1), "not finite"),
        (lambda: loo_riegelman(SPARSE, np.ones(13), (0.1, 0.1, 0.0)), "k21 0"),
        (lambda: deconvolved(SPARSE, np.ones(13), ONE, 0.0), "dose 0"),
        (
            lambda: deconvolved(
                SPARSE, np.ones(13), Response(np.array([1.0, -1.0]), np.array([0.1, 1.0]))
            ),
            "at time 0, where the response to a bolus is 0",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
