from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, dce, mean_of, solved
from igdd.models import extended_tofts

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [
        RNG.uniform(0.02, 0.5, 30) / MINUTE,
        RNG.uniform(0.05, 0.6, 30),
        RNG.uniform(0.01, 0.15, 30),
        np.zeros(30),
    ],
    axis=1,
)


def test_the_curve_is_that_of_the_differential_equation_and_the_vessels():
    protocol, (Ktrans, ve, vp, delay) = dce(), (0.2 / MINUTE, 0.3, 0.07, 4.0)
    plasma = protocol.input("plasma")
    tissue = solved([[-Ktrans / ve]], [Ktrans], plasma, protocol.frames, delay)
    vessels = vp * mean_of(plasma, protocol.frames, delay)
    curve = extended_tofts.predict(np.array([[Ktrans, ve, vp, delay]]), protocol)[0]
    assert_allclose(curve, tissue + vessels, rtol=1e-9, atol=1e-9 * curve.max())


def test_noiseless_curves_give_their_parameters_back():
    found = extended_tofts.prepare(dce())(extended_tofts.predict(TRUTH, dce()), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_a_free_delay_is_found_with_the_rest():
    truth = TRUTH.copy()
    truth[:, 3] = np.linspace(-5, 20, 30)
    curves = extended_tofts.predict(truth, dce())
    found = extended_tofts.prepare(dce(held={}))(curves, None)
    # What is left of the interpolation between tabulated delays, half a second apart.
    assert_allclose(found.parameters[:, 3], truth[:, 3], atol=1e-2)
    assert_allclose(found.parameters[:, :2], truth[:, :2], rtol=1e-3)


def test_held_vessels_are_taken_away():
    truth = TRUTH.copy()
    truth[:, 2] = 0.08
    curves = extended_tofts.predict(truth, dce())
    found = extended_tofts.prepare(dce(held={"delay": 0.0, "vp": 0.08}))(curves, None)
    assert_allclose(found.parameters, truth, rtol=1e-6)
    assert not found.covariance[:, 2:].any()


def test_vessels_held_at_nothing_give_the_tofts_model():
    from igdd.models import tofts

    curves = extended_tofts.predict(TRUTH, dce())
    found = extended_tofts.prepare(dce(held={"delay": 0.0, "vp": 0.0}))(curves, None)
    simple = tofts.prepare(dce())(curves, None)
    assert_allclose(found.parameters[:, :2], simple.parameters[:, :2], rtol=1e-9)
