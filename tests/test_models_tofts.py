from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from compartment_curves import MINUTE, dce, solved
from igdd.models import tofts
from igdd.stages.fit import fit
from region_curves import curves_of

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


def late(delay=60.0):
    """Curves whose bolus comes a minute into the scan, the frames, and the input."""
    protocol = dce()
    plasma = protocol.input("plasma")
    time = np.concatenate([[0.0], plasma.time + delay])
    values = np.concatenate([[0.0], plasma.values])
    plasma = replace(plasma, time=time, values=values)
    seen = replace(protocol, inputs={"plasma": plasma})
    return tofts.predict(TRUTH[:5], seen), protocol.frames, plasma


@pytest.mark.parametrize(
    ("share", "of_input", "flagged"), [(0.0, 0.0, False), (0.5, 0.0, True), (0.5, 0.15, True)]
)
def test_a_baseline_that_was_not_taken_off_is_flagged(share, of_input, flagged):
    curve, frames, plasma = late()
    raw = replace(plasma, values=plasma.values + of_input * plasma.values.max())
    noise = 0.05 * np.random.default_rng(2).standard_normal(curve.shape)
    stored = curve + (noise + share) * curve.max(axis=1, keepdims=True)
    found = fit("tofts", curves_of(stored, frames, unit=raw.unit), {"plasma": raw})
    assert all(("enhanced_before_input" in own) == flagged for own in found.flags)


def test_an_input_on_a_later_clock_is_flagged():
    curve, frames, _ = late(10.0)
    *_, later = late(120.0)
    found = fit("tofts", curves_of(curve, frames, unit=later.unit), {"plasma": later})
    assert all("enhanced_before_input" in own for own in found.flags)
