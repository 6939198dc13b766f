from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, dce, solved
from igdd.models import two_compartment_uptake

RNG = np.random.default_rng(0)
TRUTH = np.stack(
    [
        RNG.uniform(0.2, 1.0, 30) / MINUTE,
        RNG.uniform(0.02, 0.2, 30) / MINUTE,
        RNG.uniform(0.03, 0.2, 30),
        np.zeros(30),
    ],
    axis=1,
)


def test_the_curve_is_that_of_the_mass_balance():
    protocol = dce()
    Fp, PS, vp, delay = one = np.append(TRUTH[0, :3], 5.0)
    rates = [[-(Fp + PS) / vp, 0.0], [PS / vp, 0.0]]
    tissue = solved(rates, [Fp, 0.0], protocol.input("plasma"), protocol.frames, delay)
    curve = two_compartment_uptake.predict(one[None], protocol)[0]
    assert_allclose(curve, tissue, rtol=1e-9, atol=1e-9 * curve.max())


def test_noiseless_curves_give_their_parameters_back():
    curves = two_compartment_uptake.predict(TRUTH, dce())
    found = two_compartment_uptake.prepare(dce())(curves, None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert not found.status.any()


def test_derived_numbers_follow_the_definitions():
    Fp, PS, vp, _ = TRUTH.T
    E, Ktrans, Tp = two_compartment_uptake.derive(TRUTH).T
    assert_allclose(E, PS / (Fp + PS))
    assert_allclose(Ktrans, Fp * PS / (Fp + PS))
    assert_allclose(Tp, vp / (Fp + PS))


def test_tissue_that_keeps_all_that_flows_in_is_fitted_with_a_flag():
    """PS far above Fp leaves nothing of the plasma: PS and vp are open, the inflow is not."""
    truth = np.array([[0.1 / MINUTE, 1.0 / MINUTE, 0.05, 0.0]])
    curve = two_compartment_uptake.predict(truth, dce())
    curves = curve + 0.02 * np.random.default_rng(1).standard_normal((600, curve.size))
    found = two_compartment_uptake.prepare(dce())(curves, None)
    assert np.isfinite(found.parameters).all()
    assert (found.status != 0).mean() > 0.9
    Ktrans = two_compartment_uptake.derive(found.parameters)[:, 1]
    assert_allclose(np.median(Ktrans), 0.1 / 1.1 / MINUTE, rtol=0.02)
