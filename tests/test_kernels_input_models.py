"""Input models: their closed forms, their fits, and the knots that stand for them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from igdd.errors import FitError, InputError
from igdd.kernels import input_models
from igdd.kernels.population_inputs import POPULATIONS

# An autosampler's first five minutes, and manual samples after it.
TIME = np.concatenate([np.arange(0.0, 300.0), np.arange(360.0, 5401.0, 300.0)])
CASES = {
    "tri_exponential": (
        {"start": 20.0, "rise": 15.0, "rate1": 0.08, "rate2": 0.006, "rate3": 0.0002},
        [80.0, 15.0, 5.0],
    ),
    "feng": (
        {"start": 20.0, "rate1": 0.069, "rate2": 0.0018, "rate3": 0.0002},
        [14.0, 22.0, 20.0],
    ),
    "feng_infusion": (
        {"start": 20.0, "infusion": 30.0, "rate1": 0.069, "rate2": 0.0018, "rate3": 0.0002},
        [14.0, 22.0, 20.0],
    ),
}
SHAPES = {
    "tri_exponential": input_models.tri_exponential,
    "feng": input_models.feng,
    "feng_infusion": input_models.feng_infusion,
}


def curve(model, time=TIME):
    shape, amplitudes = CASES[model]
    return SHAPES[model](np.asarray(time, float), np.array([*shape.values()])) @ amplitudes


@pytest.mark.parametrize("model", CASES)
def test_a_noiseless_curve_gives_its_own_parameters_back(model):
    found = input_models.fit(model, TIME, curve(model))
    shape, amplitudes = CASES[model]
    for name, value in shape.items():
        assert_allclose(found.parameters[name], value, rtol=1e-6)
    assert_allclose([found.parameters[f"amplitude{i}"] for i in (1, 2, 3)], amplitudes, rtol=1e-6)


@pytest.mark.parametrize("model", [*CASES, "spline", "monotone"])
def test_noise_of_counting_leaves_the_area_within_one_per_cent(model):
    truth = curve("feng") if model in ("spline", "monotone") else curve(model)
    random = np.random.default_rng(7)
    noise = 0.1 * random.normal(size=TIME.size) * input_models.sample_sd(TIME, truth)
    found = input_models.fit(model, TIME, truth + noise)
    area = np.trapezoid(truth, TIME)
    # variance 0.01 level / gap times gap^2, summed: 0.01 area; six of its roots
    assert_allclose(np.trapezoid(found.function(TIME), TIME), area, atol=6 * 0.1 * np.sqrt(area))


@pytest.mark.parametrize("model", CASES)
def test_a_model_is_zero_before_its_start_and_has_no_jump(model):
    time = np.linspace(0, 120, 12001)
    values = curve(model, time)
    assert (values[time <= 20.0] == 0).all()
    # each takes more than 5 s to its peak: no step of 0.01 s is above a 500th of it
    assert np.abs(np.diff(values)).max() < values.max() / 500


def test_an_infusion_is_the_bolus_averaged_over_its_length():
    shape = CASES["feng_infusion"][0]
    bolus = np.array([shape["start"], shape["rate1"], shape["rate2"], shape["rate3"]])
    for at in (25.0, 49.0, 51.0, 90.0, 1000.0):
        for column in range(3):
            area = quad(
                lambda t, c=column: input_models.feng(np.array([t]), bolus)[0, c],
                at - shape["infusion"],
                at,
                points=[shape["start"]] if at - shape["infusion"] < shape["start"] else None,
                epsabs=1e-12,
            )[0]
            found = input_models.feng_infusion(np.array([at]), np.array([*shape.values()]))
            assert_allclose(found[0, column], area / shape["infusion"], rtol=1e-8, atol=1e-12)


def test_a_short_infusion_is_a_bolus():
    shape = CASES["feng_infusion"][0] | {"infusion": 1e-3}
    bolus = CASES["feng"][0]
    found = input_models.feng_infusion(TIME, np.array([*shape.values()]))
    # half the infusion's length times the steepest slope, 1 per s
    assert_allclose(found, input_models.feng(TIME, np.array([*bolus.values()])), atol=1e-3)


def test_a_held_infusion_stays():
    samples = curve("feng_infusion")
    found = input_models.fit("feng_infusion", TIME, samples, held={"infusion": 25.0})
    assert found.parameters["infusion"] == 25.0


def test_a_spline_passes_its_peak_and_follows_a_mono_exponential():
    time = np.concatenate([[0.0, 10.0, 20.0], np.arange(40.0, 3000.0, 60.0)])
    values = np.where(time < 20, time * 5, 100 * np.exp(-0.001 * (time - 20)))
    found = input_models.fit("monotone", time, values)
    assert_allclose(found.function(time), values, rtol=1e-12)
    between = np.arange(100.0, 2900.0, 7.0)
    # a cubic through exact samples 60 s apart; error measured 2e-5, order of (0.06)^3 / 12
    assert_allclose(found.function(between), 100 * np.exp(-0.001 * (between - 20)), rtol=1e-3)


def test_a_monotone_spline_does_not_wiggle_between_falling_samples():
    time = np.array([0.0, 10.0, 20.0, 60.0, 61.0, 62.0, 500.0, 501.0, 3000.0])
    values = np.array([0.0, 50.0, 100.0, 40.0, 39.0, 20.0, 19.0, 5.0, 4.0])
    found = input_models.fit("monotone", time, values)
    assert (np.diff(found.function(np.linspace(20, 3000, 5000))) <= 1e-12).all()


@pytest.mark.parametrize("name", POPULATIONS)
def test_straight_lines_between_the_knots_are_good_to_1e4_of_the_peak(name):
    one = POPULATIONS[name]
    time, values = input_models.knots(one.function, 0.0, 600.0, one.breaks)
    fine = np.linspace(0, 600, 60001)
    exact = one.function(fine)
    assert np.abs(np.interp(fine, time, values) - exact).max() <= 1e-4 * exact.max()
    assert time.size < 2000  # a knot every 0.3 s on average, few enough for every convolution


def test_knots_find_a_bolus_in_a_long_curve():
    def function(time):
        return np.exp(-(((time - 30) / 3) ** 2)) + np.exp(-time / 1e5)

    time, values = input_models.knots(function, 0.0, 30 * 86400.0)
    fine = np.linspace(0, 100, 10001)
    assert np.abs(np.interp(fine, time, values) - function(fine)).max() < 2e-4


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: input_models.fit("gamma", TIME, TIME), InputError, "tri_exponential"),
        (lambda: input_models.fit("feng", TIME[:5], TIME[:5]), InputError, "7 parameters"),
        (lambda: input_models.fit("feng", TIME, -TIME), FitError, "above zero"),
        (lambda: input_models.fit("feng", TIME[::-1], TIME), InputError, "ascending"),
        (lambda: input_models.fit("feng", np.arange(3e4), np.arange(3e4)), InputError, "20000"),
        (lambda: input_models.fit("feng", TIME, TIME, held={"K1": 1.0}), InputError, "K1"),
        (
            lambda: input_models.fit("feng_infusion", TIME, TIME, held={"infusion": -1.0}),
            InputError,
            "more than 0",
        ),
        (lambda: input_models.fit("spline", TIME, TIME), InputError, "from the peak on"),
        (lambda: input_models.fit("spline", TIME, curve("feng"), held={"a": 1.0}), InputError, "a"),
        (lambda: input_models.knots(np.cos, 1.0, 1.0), InputError, "after its start"),
    ],
)
def test_what_cannot_be_fitted_says_why(call, error, says):
    with pytest.raises(error, match=says):
        call()
