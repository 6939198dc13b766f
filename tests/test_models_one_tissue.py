from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, mean_of, pet, solved
from igdd.models import one_tissue

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [RNG.uniform(0.05, 1, 30) / MINUTE, RNG.uniform(0.05, 1, 30) / MINUTE, RNG.uniform(0, 0.1, 30)],
    axis=1,
)
TRUTH = np.column_stack([TRUTH, np.zeros(30)])


def test_the_curve_is_that_of_the_differential_equation():
    protocol, (K1, k2, Vb, delay) = pet(), np.array([0.3 / MINUTE, 0.2 / MINUTE, 0.06, 7.0])
    tissue = solved([[-k2]], [K1], protocol.input("plasma"), protocol.frames, delay)
    blood = mean_of(protocol.input("blood"), protocol.frames, delay)
    curve = one_tissue.predict(np.array([[K1, k2, Vb, delay]]), protocol)[0]
    # Both are exact up to the rounding of some hundred steps.
    assert_allclose(curve, (1 - Vb) * tissue + Vb * blood, rtol=1e-9, atol=1e-9 * curve.max())


def test_noiseless_curves_give_their_parameters_back():
    found = one_tissue.prepare(pet())(one_tissue.predict(TRUTH, pet()), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_the_volume_is_K1_over_k2():
    assert_allclose(one_tissue.derive(TRUTH)[:, 0], TRUTH[:, 0] / TRUTH[:, 1])


def test_a_tissue_without_outflow_has_no_volume_of_its_own():
    trapped = np.array([[0.1 / MINUTE, 0.0, 0.05, 0.0]])
    found = one_tissue.prepare(pet())(one_tissue.predict(trapped, pet()), None)
    assert_allclose(found.parameters, trapped, rtol=1e-6, atol=1e-9)
    assert found.status[0] & 4  # at the bound k2 = 0
    assert np.isinf(one_tissue.derive(trapped)[0, 0])
