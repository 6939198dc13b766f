"""Patlak's plot against a reference tissue."""

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import patlak, two_tissue_irreversible
from igdd.models.reference_patlak import predict, prepare
from tissue_curves import MINUTE, against_reference, bolus, frames, protocol, reference

# Kiref in 1/s, V.
TRUTH = np.array([[0.012 / MINUTE, 1.1], [0.002 / MINUTE, 0.9], [0.0, 1.0]])


@pytest.mark.parametrize("integration", ["exact", "instant", "trapezium"])
def test_a_line_gives_its_slope_and_intercept_back(integration):
    known = against_reference(integration=integration, start=1200.0)
    curves = predict(TRUTH, against_reference(integration=integration))
    found = prepare(known)(curves, None)
    np.testing.assert_allclose(found.parameters, TRUTH, rtol=1e-9, atol=1e-15)
    assert np.isnan(found.predicted[:, known.frames.start < 1200.0]).all()


def test_it_is_patlaks_plot_with_the_reference_as_plasma():
    plasma = replace(reference(), compartment="plasma")
    curves = predict(TRUTH, against_reference())
    curves = curves + np.random.default_rng(1).normal(scale=0.1, size=curves.shape)
    found = prepare(against_reference(start=1200.0))(curves, None)
    same = patlak.prepare(protocol(inputs={"plasma": plasma}, start=1200.0))(curves, None)
    np.testing.assert_allclose(found.parameters, same.parameters[:, :2], rtol=1e-12)
    np.testing.assert_array_equal(found.status, same.status)


def test_a_tissue_that_traps_comes_to_k2_k3_over_their_sum():
    k2, k3 = 0.15 / MINUTE, 0.02 / MINUTE
    inputs = {"plasma": bolus(), "blood": bolus("blood", "total")}
    # K1 / k2 is that of the reference.
    truth = np.array([[0.12 / MINUTE, k2, k3, 0.0, 0.0]])
    curves = two_tissue_irreversible.predict(truth, protocol(inputs=inputs))
    found = prepare(against_reference(start=3000.0))(curves, None)
    # The free tracer lags behind the reference's by their difference in rate: some per cent.
    assert found.parameters[0, 0] == pytest.approx(k2 * k3 / (k2 + k3), rel=0.05)


def test_intervals_cover_the_truth():
    known = against_reference(start=1200.0)
    truth = predict(TRUTH[:1], known)
    used = np.isfinite(truth[0])
    sd = np.where(used, 0.3, 1.0)
    clean = np.where(used, truth, 0.0)
    noise = np.random.default_rng(2).normal(size=(3000, used.size)) * sd
    found = prepare(known)(clean + noise, sd)
    stated = np.sqrt(np.einsum("njj->nj", found.covariance))
    # Student's t for the 14 frames of 5 min, 12 degrees of freedom; 3,000 draws: 0.4 %, 3 of these.
    inside = np.abs(found.parameters - TRUTH[0]) < 2.179 * stated
    np.testing.assert_allclose(inside.mean(axis=0), 0.95, atol=0.012)


def test_missing_and_empty_curves_are_not_fitted():
    known = against_reference(start=1200.0)
    good = predict(TRUTH[:1], against_reference())
    found = prepare(known)(np.vstack([np.full_like(good, np.nan), good]), None)
    assert found.status[0] == Status.NOT_FITTED
    np.testing.assert_allclose(found.parameters[1], TRUTH[0], rtol=1e-9)


def test_a_scan_that_begins_late_is_refused():
    with pytest.raises(InputError, match="the first frame starts at 2400 s"):
        prepare(against_reference(frames(np.full(20, 120.0), start=2400.0)))
