"""SRTM2: two parameters for each region, one k2' for all."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import srtm
from igdd.models.mrtm import predict_mrtm2 as predict
from igdd.models.srtm2 import prepare
from tissue_curves import MINUTE, against_reference, protocol, reference

K2PRIME = 0.15 / MINUTE
# R1, BPND, k2prime in 1/s.
TRUTH = np.array(
    [[1.0, 2.0, K2PRIME], [1.2, 0.8, K2PRIME], [0.9, 0.2, K2PRIME], [0.7, 6.0, K2PRIME]]
)


def test_it_is_srtm_with_k2_bound_to_the_reference():
    known = against_reference()
    three = np.column_stack([TRUTH[:, 0], TRUTH[:, 0] * K2PRIME, TRUTH[:, 1]])
    np.testing.assert_allclose(predict(TRUTH, known), srtm.predict(three, known), rtol=1e-13)


@pytest.mark.parametrize("integration", ["exact", "instant", "trapezium"])
def test_curves_without_noise_give_their_parameters_back(integration):
    known = against_reference(integration=integration, held={"k2prime": K2PRIME})
    found = prepare(known)(predict(TRUTH, known), None)
    np.testing.assert_allclose(found.parameters, TRUTH, rtol=1e-6)
    assert (found.status == 0).all()


def test_k2prime_is_found_from_the_regions_that_determine_it():
    known = against_reference()
    curves = np.vstack([predict(TRUTH, known), known.mean("reference")])
    noisy = curves + np.random.default_rng(1).normal(scale=0.02, size=curves.shape)
    found = prepare(known)(noisy, None)
    assert found.notes["k2prime"] == pytest.approx(K2PRIME, rel=0.02)
    np.testing.assert_allclose(found.parameters[:4, 1], TRUTH[:, 1], rtol=0.05)
    assert found.parameters[4, 1] == pytest.approx(0, abs=0.02)


def test_nothing_but_noise_determines_no_k2prime():
    curves = np.random.default_rng(2).normal(size=(2, 41))
    with pytest.raises(InputError, match="hold k2prime at a known value"):
        prepare(against_reference())(curves, None)


def test_intervals_cover_the_truth():
    known = protocol(inputs={"reference": reference(30.0)}, held={"k2prime": K2PRIME})
    truth = predict(TRUTH[:1], known)
    sd = 0.03 * truth.max() / np.sqrt(known.frames.duration / 60)
    noise = np.random.default_rng(3).normal(size=(1000, truth.size)) * sd
    found = prepare(known)(truth + noise, sd)
    error = np.abs(found.parameters[:, :2] - TRUTH[0, :2])
    # Student's t for 41 frames; 1,000 draws leave a coverage uncertain by 0.7 %.
    inside = error < 2.02 * np.sqrt(np.einsum("njj->nj", found.covariance)[:, :2])
    assert (inside.mean(axis=0) > 0.92).all()
    assert (inside.mean(axis=0) < 0.98).all()


def test_missing_and_empty_curves_are_not_fitted_and_change_nothing_else():
    known = against_reference(held={"k2prime": K2PRIME})
    good = predict(TRUTH[:1], known)
    curves = np.vstack([np.full_like(good, np.nan), good, np.zeros_like(good)])
    found, alone = prepare(known)(curves, None), prepare(known)(good, None)
    assert (found.status[[0, 2]] == Status.NOT_FITTED).all()
    assert np.isnan(found.parameters[[0, 2], :2]).all()
    np.testing.assert_allclose(found.parameters[1], alone.parameters[0], rtol=1e-10)
