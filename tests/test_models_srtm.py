from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, mean_of, pet, solved
from igdd.models import srtm

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [RNG.uniform(0.7, 1.3, 30), RNG.uniform(0.05, 0.3, 30) / MINUTE, RNG.uniform(0.1, 3, 30)],
    axis=1,
)


def test_the_curve_is_that_of_the_differential_equation():
    protocol, (R1, k2, BPND) = pet(), TRUTH[0]
    apparent, reference = k2 / (1 + BPND), protocol.input("reference")
    # What differs from R1 times the reference obeys an equation without its slope.
    rest = solved([[-apparent]], [k2 - R1 * apparent], reference, protocol.frames)
    curve = srtm.predict(TRUTH[:1], protocol)[0]
    assert_allclose(curve, R1 * mean_of(reference, protocol.frames) + rest, rtol=1e-9)


def test_noiseless_curves_give_their_parameters_back():
    found = srtm.prepare(pet())(srtm.predict(TRUTH, pet()), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_the_reference_itself_binds_nothing():
    protocol = pet()
    found = srtm.prepare(protocol)(protocol.mean("reference"), None)
    assert_allclose(found.parameters[0, [0, 2]], [1.0, 0.0], atol=1e-6)


def test_the_reference_rate_is_k2_over_R1():
    k2prime, k2a = srtm.derive(TRUTH).T
    assert_allclose(k2prime, TRUTH[:, 1] / TRUTH[:, 0])
    assert_allclose(k2a, TRUTH[:, 1] / (1 + TRUTH[:, 2]))


def test_a_held_delivery_is_kept():
    held = srtm.prepare(pet(held={"R1": 1.1}))
    truth = np.column_stack([np.full(30, 1.1), TRUTH[:, 1:]])
    found = held(srtm.predict(truth, pet()), None)
    assert_allclose(found.parameters, truth, rtol=1e-6)
    assert not found.covariance[:, 0].any()
