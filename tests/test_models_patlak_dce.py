"""Patlak model of a contrast agent: the curve, and its linear solution with and without a delay."""

import numpy as np
import pytest
from scipy.integrate import quad

from igdd.kinetics import InputCurve, Protocol, Status
from igdd.models.patlak_dce import MODELS, predict
from igdd.types import Frames, Zero

KNOTS = np.array([0.0, 10.0, 15.0, 22.0, 40.0, 90.0, 200.0, 400.0])
PLASMA = np.array([0.0, 0.0, 6.0, 3.0, 2.0, 1.5, 1.0, 0.7])
MODEL = MODELS[0]


def protocol(held=None, length=4.0, integration="exact"):
    start = np.arange(0.0, 300.0, length)
    curve = InputCurve(
        time=KNOTS, values=PLASMA, compartment="plasma", substance="contrast", unit="mol/m3"
    )
    return Protocol(
        frames=Frames(
            start=start, duration=np.full(start.size, length), zero=Zero(kind="scan_start")
        ),
        inputs={"plasma": curve},
        integration=integration,
        held={"delay": 0.0} if held is None else held,
    )


def curve_at(when, Ktrans, vp, delay):
    def plasma(t):
        return np.interp(t - delay, KNOTS, PLASMA, left=0.0)

    leaked = quad(plasma, 0.0, when, points=KNOTS + delay, limit=200, epsabs=1e-13)[0]
    return vp * plasma(when) + Ktrans * leaked


def test_the_curve_is_plasma_and_its_integral():
    given = protocol(integration="instant")
    found = predict(np.array([[0.002, 0.06, 3.3]]), given)[0]
    expected = [curve_at(t, 0.002, 0.06, 3.3) for t in given.frames.middle]
    # The quadrature's own tolerance.
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_linear_solution_recovers_noiseless_curves_of_either_sign():
    truth = np.array([[0.002, 0.06, 0.0], [0.0, 0.1, 0.0], [-0.0005, 0.02, 0.0]])
    given = protocol()
    found = MODEL.prepare(given)(predict(truth, given), None)
    np.testing.assert_allclose(found.parameters, truth, rtol=0, atol=1e-13)
    assert (found.status == 0).all()
    assert (found.covariance[:, 2] == 0).all()


def test_a_free_delay_is_found():
    truth = np.array([[0.002, 0.06, 3.37], [0.001, 0.1, -6.2], [0.003, 0.02, 21.9]])
    given = protocol(held={})
    found = MODEL.prepare(given)(predict(truth, given), None)
    np.testing.assert_allclose(found.parameters, truth, rtol=1e-6, atol=1e-9)


def test_a_held_volume_is_not_fitted():
    given = protocol(held={"delay": 0.0, "vp": 0.05})
    found = MODEL.prepare(given)(predict(np.array([[0.002, 0.05, 0.0]]), given), None)
    np.testing.assert_allclose(found.parameters, [[0.002, 0.05, 0.0]], rtol=1e-12)
    assert found.covariance[0, 1, 1] == 0
    np.testing.assert_allclose(
        found.predicted, predict(found.parameters, given), rtol=1e-12, atol=1e-14
    )


def test_standard_errors_are_those_of_repeated_noise():
    rng = np.random.default_rng(2)
    given = protocol()
    clean = predict(np.array([[0.002, 0.06, 0.0]]), given)
    noisy = clean + rng.normal(0, 0.05, (3000, clean.shape[1]))
    found = MODEL.prepare(given)(noisy, None)
    spread = found.parameters[:, :2].std(axis=0)
    typical = np.sqrt(np.median(found.covariance[:, [0, 1], [0, 1]], axis=0))
    # 3000 replicates know a standard deviation to 1.3 %; four of those.
    np.testing.assert_allclose(typical, spread, rtol=0.052)


@pytest.mark.parametrize("held", [None, {}])
def test_a_curve_with_a_gap_is_nan_and_the_others_do_not_notice(held):
    given = protocol(held=held)
    curves = predict(np.array([[0.002, 0.06, 0.0]] * 2), given)
    alone = MODEL.prepare(given)(curves[:1], None).parameters[0]
    curves[1, 5] = np.nan
    found = MODEL.prepare(given)(curves, None)
    np.testing.assert_allclose(found.parameters[0], alone, rtol=1e-12, atol=1e-12)
    assert np.isnan(found.parameters[1]).all()
    assert found.status[1] & Status.NOT_FITTED
