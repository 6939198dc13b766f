from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, mean_of, pet, solved
from igdd.models import two_tissue_irreversible

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [
        RNG.uniform(0.1, 1, 30) / MINUTE,
        RNG.uniform(0.1, 1, 30) / MINUTE,
        RNG.uniform(0.01, 0.2, 30) / MINUTE,
        RNG.uniform(0.01, 0.1, 30),
        np.zeros(30),
    ],
    axis=1,
)


def test_the_curve_is_that_of_the_differential_equations():
    protocol = pet()
    K1, k2, k3, Vb, delay = one = np.append(TRUTH[0, :4], -3.0)
    rates = [[-k2 - k3, 0.0], [k3, 0.0]]
    tissue = solved(rates, [K1, 0.0], protocol.input("plasma"), protocol.frames, delay)
    blood = mean_of(protocol.input("blood"), protocol.frames, delay)
    curve = two_tissue_irreversible.predict(one[None], protocol)[0]
    assert_allclose(curve, (1 - Vb) * tissue + Vb * blood, rtol=1e-9, atol=1e-9 * curve.max())


def test_noiseless_curves_give_their_parameters_back():
    curves = two_tissue_irreversible.predict(TRUTH, pet())
    found = two_tissue_irreversible.prepare(pet())(curves, None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_a_free_delay_is_found_with_the_rest():
    truth = TRUTH.copy()
    truth[:, 4] = np.linspace(-8, 25, 30)
    curves = two_tissue_irreversible.predict(truth, pet())
    found = two_tissue_irreversible.prepare(pet(held={}))(curves, None)
    # The table of delays is a quarter as fine as the input's knots: 1e-4 of a second.
    assert_allclose(found.parameters[:, 4], truth[:, 4], atol=2e-3)
    assert_allclose(found.parameters[:, :3], truth[:, :3], rtol=1e-4)


def test_the_influx_is_the_late_slope_over_the_plasma_integral():
    K1, k2, k3 = TRUTH[:, :3].T
    Ki, VND = two_tissue_irreversible.derive(TRUTH).T
    assert_allclose(Ki, K1 * k3 / (k2 + k3))
    assert_allclose(VND, K1 / (k2 + k3))
