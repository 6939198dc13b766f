"""Parent fraction, plasma-to-blood ratio and dispersion: analytic truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from igdd.errors import InputError
from igdd.kernels import blood_models

TIME = np.array([60.0, 180.0, 300.0, 630.0, 1200.0, 2400.0, 3600.0, 5400.0])
SHAPES = {
    "hill": (blood_models.hill, [0.95, 1.8, 700.0]),
    "power": (blood_models.power, [0.002, 1.6, 0.9]),
    "exponential": (blood_models.exponential, [0.8, 0.003, 0.0001]),
    "inverse_gamma": (blood_models.inverse_gamma, [0.9, 1.2, 400.0]),
}


@pytest.mark.parametrize("model", SHAPES)
def test_noiseless_samples_give_the_curve_back(model):
    function, shape = SHAPES[model]
    found = blood_models.parent_fraction(model, TIME, function(TIME, np.array(shape)))
    between = np.linspace(1, 5400, 500)
    # parameters of these shapes trade off: the curve is what the input needs
    assert_allclose(found.function(between), function(between, np.array(shape)), atol=1e-4)


@pytest.mark.parametrize("model", SHAPES)
def test_thousands_of_samples_are_all_fitted(model):
    """A fraction given second by second, as programs interpolate it, with scatter on every one."""
    function, shape = SHAPES[model]
    time = np.arange(1.0, 5401.0)
    noisy = function(time, np.array(shape)) + 0.05 * np.random.default_rng(2).normal(size=5400)
    found = blood_models.parent_fraction(model, time, noisy)
    # The curve's standard error is 0.05 x root(3 parameters / 5400 samples) = 0.0012; four of it.
    assert_allclose(found.function(time), function(time, np.array(shape)), atol=0.005)
    # The least squares of all samples lie below those of the truth; those of a few samples do not.
    scatter = noisy - function(time, np.array(shape))
    assert found.residual < np.sqrt(np.mean(scatter**2))


@pytest.mark.parametrize("model", blood_models.PARENT_MODELS)
def test_the_parent_fraction_is_one_at_the_injection(model):
    function, shape = SHAPES["hill"]
    time = np.append(0.0, TIME)
    values = np.append(0.0, function(TIME, np.array(shape)))  # a table's placeholder at time 0
    found = blood_models.parent_fraction(model, time, values)
    assert_allclose(found.function(np.array([-5.0, 0.0])), 1.0, atol=1e-12)


@pytest.mark.parametrize("model", SHAPES)
def test_a_fitted_fraction_stays_between_0_and_1_and_falls(model):
    random = np.random.default_rng(3)
    noisy = blood_models.hill(TIME, np.array([0.9, 1.5, 600.0])) + 0.03 * random.normal(size=8)
    found = blood_models.parent_fraction(model, TIME, noisy)
    values = found.function(np.linspace(0, 20000, 2000))
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) <= 1e-12).all()


def test_the_inverse_gamma_share_is_the_integral_of_its_density():
    order, scale = 1.2, 400.0
    from scipy.special import gamma

    def density(t):
        return scale**order / gamma(order) * t ** (-order - 1) * np.exp(-scale / t)

    for at in (100.0, 1000.0, 5000.0):
        expected = 1 - 0.9 * quad(density, 0, at)[0]
        found = blood_models.inverse_gamma(np.array([at]), np.array([0.9, order, scale]))
        assert_allclose(found, expected, rtol=1e-7)


def test_interpolation_joins_the_samples_and_keeps_the_last():
    found = blood_models.parent_fraction("interpolate", TIME, np.linspace(0.9, 0.1, 8))
    assert_allclose(found.function(np.array([30.0, 60.0, 1e6])), [0.95, 0.9, 0.1])


@pytest.mark.parametrize(
    ("model", "ratio", "at", "expected"),
    [
        ("interpolate", [1.0, 2.0], [0.0, 500.0, 750.0, 9000.0], [1.0, 1.0, 1.5, 2.0]),
        ("constant", [1.0, 2.0], [0.0, 9000.0], [1.5, 1.5]),
        ("linear", [1.0, 2.0], [0.0, 1500.0], [0.0, 3.0]),
    ],
)
def test_a_ratio_follows_its_rule(model, ratio, at, expected):
    found = blood_models.plasma_to_blood(model, np.array([500.0, 1000.0]), np.array(ratio))
    assert_allclose(found.function(np.array(at)), expected, atol=1e-12)


def test_an_exponential_ratio_is_found():
    truth = 1.6 - 0.5 * np.exp(-0.002 * TIME)
    found = blood_models.plasma_to_blood("exponential", TIME, truth)
    assert_allclose([*found.parameters.values()], [1.6, -0.5, 0.002], rtol=1e-5)


def test_dispersion_of_a_ramp_is_the_lagged_ramp():
    time = np.concatenate([np.linspace(0, 10, 8), np.linspace(12, 60, 9)])
    expected = time - 2.6 * (1 - np.exp(-time / 2.6))
    assert_allclose(blood_models.disperse(time, time, 2.6), expected, rtol=1e-12)


def test_correcting_undoes_dispersing_on_a_fine_clock():
    time = np.arange(0.0, 300.0, 0.1)
    truth = np.where(time > 20, (time - 20) ** 2 * np.exp(-(time - 20) / 8), 0.0)
    found = blood_models.correct_dispersion(time, blood_models.disperse(time, truth, 2.6), 2.6)
    # central differences over 0.1 s: (step^2 / 6) x third derivative x 2.6 s, largest at the onset
    assert np.abs(found - truth).max() < 3e-3 * truth.max()


def test_correcting_keeps_the_area():
    time = np.arange(0.0, 600.0)
    truth = np.where(time > 20, (time - 20) * np.exp(-(time - 20) / 20), 0.0)
    found = blood_models.correct_dispersion(time, truth, 2.6)
    # the slope's integral is the difference of the ends, both zero here
    assert_allclose(np.trapezoid(found, time), np.trapezoid(truth, time), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: blood_models.parent_fraction("cubic", TIME, TIME), "hill"),
        (lambda: blood_models.parent_fraction("hill", TIME[:2], TIME[:2]), "3 parameters"),
        (lambda: blood_models.parent_fraction("interpolate", TIME * 0, TIME), "after the inj"),
        (lambda: blood_models.plasma_to_blood("cubic", TIME, TIME), "constant"),
        (lambda: blood_models.plasma_to_blood("linear", TIME[:1], TIME[:1]), "2 samples"),
        (lambda: blood_models.plasma_to_blood("linear", TIME[:0], TIME[:0]), "no sample"),
        (lambda: blood_models.disperse(TIME, TIME, 0.0), "more than 0"),
        (lambda: blood_models.correct_dispersion(TIME[:2], TIME[:2], 2.6), "3 samples"),
    ],
)
def test_what_cannot_be_done_says_why(call, says):
    with pytest.raises(InputError, match=says):
        call()
