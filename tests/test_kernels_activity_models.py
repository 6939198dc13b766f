"""Shapes of activity: unit area, the tail they say, and their differential equation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad, solve_ivp

from igdd.kernels.activity_models import MODELS

LUTETIUM = np.log(2) / 159.528
SHAPES = {
    "mono_exponential": [0.02],
    "bi_exponential": [0.004, 0.1, 0.3],
    "tri_exponential": [0.002, 0.03, 0.5, 0.2, 0.4],
    "uptake_clearance": [0.01, 3.0],
    "uptake_two_phase_clearance": [0.004, 0.08, 0.6, 2.0],
}


@pytest.mark.parametrize("name", MODELS)
def test_every_shape_has_unit_area_and_the_tail_that_it_says(name):
    model, values = MODELS[name], np.array([SHAPES[name]])

    def height(time):
        return model.shape(values, np.array([time]), LUTETIUM)[0, 0]

    area = quad(height, 0, 40, limit=200)[0] + quad(height, 40, np.inf, limit=200)[0]
    assert_allclose(area, 1.0, rtol=1e-7)  # of the quadrature
    after = quad(height, 60, np.inf, limit=200)[0]
    assert_allclose(model.tail(values, 60.0, LUTETIUM), after, rtol=1e-6)


def test_uptake_is_the_solution_of_its_differential_equation():
    # feed -> region: dF = -U F, dA = U F - L A
    clearance, uptake = LUTETIUM + 0.01, 1 / 3.0
    found = solve_ivp(
        lambda _, y: [-uptake * y[0], uptake * y[0] - clearance * y[1]], (0, 100), [1.0, 0.0],
        t_eval=[5.0, 40.0, 100.0], rtol=1e-10, atol=1e-14,
    )  # fmt: skip
    model = MODELS["uptake_clearance"]
    shape = model.shape(np.array([[0.01, 3.0]]), found.t, LUTETIUM)[0]
    assert_allclose(shape / clearance, found.y[1], rtol=1e-7)


@pytest.mark.parametrize("delay", [0.0, 1e-9, 1 / (LUTETIUM + 0.01), 150.0])
def test_uptake_is_defined_at_its_limits(delay):
    model, time = MODELS["uptake_clearance"], np.array([0.0, 1.0, 50.0, 500.0])
    found = model.shape(np.array([[0.01, delay]]), time, LUTETIUM)[0]
    assert np.isfinite(found).all()
    near = model.shape(np.array([[0.01, delay * (1 + 1e-6) + 1e-12]]), time, LUTETIUM)[0]
    assert_allclose(near[1:], found[1:], rtol=1e-4, atol=1e-12)
