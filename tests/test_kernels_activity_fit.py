"""Fitted activity: closed forms, bounds, and the published kidney."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.activity_fit import fit_model
from igdd.kernels.activity_models import MODELS
from igdd.kernels.time_activity import physical
from igdd.metrics._decays import Rules, decays

LUTETIUM = np.log(2) / 159.528
HOURS = np.array([3.741111, 27.725278, 103.094167, 123.983611])
KIDNEY = np.array([98.561432, 73.599408, 25.39568, 19.046610])
SHAPES = {
    "mono_exponential": [0.02],
    "bi_exponential": [0.004, 0.1, 0.3],
    "tri_exponential": [0.002, 0.03, 0.5, 0.2, 0.4],
    "uptake_clearance": [0.01, 3.0],
    "uptake_two_phase_clearance": [0.004, 0.08, 0.6, 2.0],
}


def made(time, value, sd=None):
    return physical(time, value, sd, rate=LUTETIUM, corrected_to="none")


@pytest.mark.parametrize("name", MODELS)
def test_a_curve_of_the_model_gives_back_its_decays(name):
    time = np.geomspace(1.0, 500.0, 14)
    model = MODELS[name]
    value = model.predict(np.array([[4000.0, *SHAPES[name]]]), time, LUTETIUM)
    found = fit_model(made(time, value), name)
    assert_allclose(found.integral.decays, 4000.0, rtol=2e-3)  # terms that are all but alike
    assert_allclose(found.predicted, value, rtol=1e-3, atol=1e-6 * value.max())


def test_the_kidney_by_uptake_and_clearance():
    found = fit_model(made(HOURS, KIDNEY), "uptake_clearance")
    # PyTheranostics prints 7593.752576 MBq h; the fit of three parameters to four points
    assert_allclose(found.integral.decays, 7593.752576, rtol=1e-6)
    assert_allclose(found.integral.rate, 0.014081426, rtol=1e-5)
    assert_allclose(1 / found.parameters[0, 2], 0.8454291282, rtol=1e-4)


def test_scale_does_not_matter():
    small = fit_model(made(HOURS, 1e-9 * KIDNEY), "uptake_clearance").integral
    assert_allclose(small.decays, 7593.752576e-9, rtol=1e-6)
    large = fit_model(made(HOURS, 1e9 * KIDNEY), "uptake_clearance").integral
    assert_allclose(large.decays, 7593.752576e9, rtol=1e-6)


def test_a_rising_activity_is_held_at_decay():
    found = fit_model(made([4.0, 24.0, 72.0, 96.0], [5.0, 10.0, 14.0, 16.0]), "uptake_clearance")
    assert found.integral.held[0]
    assert_allclose(found.integral.rate, LUTETIUM, rtol=1e-6)
    said = decays(made([4.0, 24.0, 72.0, 96.0], [5.0, 10.0, 14.0, 16.0]), Rules())
    assert {"effective_rate_at_physical", "rising_tail", "extrapolated_over_fifth"} <= {*said.flags}


def test_activity_that_only_decays_is_held_and_not_faster():
    time = np.array([4.0, 24.0, 72.0, 96.0, 120.0])
    found = fit_model(made(time, 50 * np.exp(-LUTETIUM * time)), "mono_exponential")
    assert_allclose(found.integral.decays, 50 / LUTETIUM, rtol=1e-6)
    assert found.integral.held[0]


def test_an_absent_term_sets_no_half_life():
    time = np.array([1.0, 4.0, 24.0, 72.0, 120.0, 168.0])
    value = 50 * np.exp(-0.03 * time)
    found = fit_model(made(time, value), "bi_exponential").integral
    assert_allclose(found.decays, 50 / 0.03, rtol=1e-6)
    assert not found.held[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [(lambda one: fit_model(one, "spline"), "unknown"),
     (lambda one: fit_model(one, "bi_exponential"), "needs as many")],
)  # fmt: skip
def test_models_that_cannot_be_fitted_say_so(call, message):
    with pytest.raises(InputError, match=message):
        call(made([4.0, 24.0], [5.0, 3.0]))
