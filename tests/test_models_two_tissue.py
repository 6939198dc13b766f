from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, mean_of, pet, solved
from igdd.models import two_tissue

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [
        RNG.uniform(0.1, 1, 30) / MINUTE,
        RNG.uniform(0.1, 0.6, 30) / MINUTE,
        RNG.uniform(0.03, 0.2, 30) / MINUTE,
        RNG.uniform(0.01, 0.08, 30) / MINUTE,
        RNG.uniform(0.01, 0.1, 30),
        np.zeros(30),
    ],
    axis=1,
)


def test_the_curve_is_that_of_the_differential_equations():
    protocol = pet()
    K1, k2, k3, k4, Vb, delay = one = np.append(TRUTH[0, :5], 4.0)
    rates = [[-k2 - k3, k4], [k3, -k4]]
    tissue = solved(rates, [K1, 0.0], protocol.input("plasma"), protocol.frames, delay)
    blood = mean_of(protocol.input("blood"), protocol.frames, delay)
    curve = two_tissue.predict(one[None], protocol)[0]
    assert_allclose(curve, (1 - Vb) * tissue + Vb * blood, rtol=1e-9, atol=1e-9 * curve.max())


def test_noiseless_curves_give_their_parameters_back():
    found = two_tissue.prepare(pet())(two_tissue.predict(TRUTH, pet()), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_equal_rates_are_one_compartment():
    merged = np.array([[0.3, 0.1, 0.0, 0.1, 0.0, 0.0]]) / MINUTE
    alone = np.array([[0.3, 0.1, 0.0, 0.0, 0.0, 0.0]]) / MINUTE
    assert_allclose(two_tissue.predict(merged, pet()), two_tissue.predict(alone, pet()), rtol=1e-12)


def test_without_binding_the_volume_is_that_of_one_tissue():
    alone = np.array([[0.3 / MINUTE, 0.1 / MINUTE, 0.0, 0.05 / MINUTE, 0.05, 0.0]])
    found = two_tissue.prepare(pet())(two_tissue.predict(alone, pet()), None)
    VT, VND, VS, BPND = two_tissue.derive(found.parameters)[0]
    assert_allclose([VT, VND], 3.0, rtol=1e-5)
    assert_allclose([VS, BPND], 0.0, atol=1e-5)
    assert found.status[0] & 12  # k3 at its bound, or k4 open


def test_macro_parameters_belong_together():
    VT, VND, VS, BPND = two_tissue.derive(TRUTH).T
    assert_allclose(VT, TRUTH[:, 0] / TRUTH[:, 1] * (1 + TRUTH[:, 2] / TRUTH[:, 3]))
    assert_allclose(VT, VND + VS)
    assert_allclose(BPND, VS / VND)
