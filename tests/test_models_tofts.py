from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, dce, solved
from igdd.models import tofts

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [RNG.uniform(0.05, 1, 30) / MINUTE, RNG.uniform(0.1, 0.6, 30), np.zeros(30)], axis=1
)


def test_the_curve_is_that_of_the_differential_equation():
    protocol, (Ktrans, ve, delay) = dce(), (0.2 / MINUTE, 0.3, 4.0)
    tissue = solved([[-Ktrans / ve]], [Ktrans], protocol.input("plasma"), protocol.frames, delay)
    curve = tofts.predict(np.array([[Ktrans, ve, delay]]), protocol)[0]
    assert_allclose(curve, tissue, rtol=1e-9, atol=1e-9 * curve.max())


def test_noiseless_curves_give_their_parameters_back():
    found = tofts.prepare(dce())(tofts.predict(TRUTH, dce()), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_kep_is_Ktrans_over_ve():
    assert_allclose(tofts.derive(TRUTH)[:, 0], TRUTH[:, 0] / TRUTH[:, 1])


def test_without_interstitium_there_is_no_curve():
    assert not tofts.predict(np.array([[0.1, 0.0, 0.0]]), dce()).any()


def test_a_volume_above_one_ends_at_one_and_says_so():
    more = np.array([[0.05 / MINUTE, 1.6, 0.0]])
    found = tofts.prepare(dce())(tofts.predict(more, dce()), None)
    assert_allclose(found.parameters[0, 1], 1.0)
    assert found.status[0] & 4  # at a bound
