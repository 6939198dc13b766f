"""MRTM1 and MRTM2 against the simplified reference tissue model they integrate."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import srtm
from igdd.models.mrtm import common_k2prime, prepare_mrtm1, prepare_mrtm2
from tissue_curves import MINUTE, against_reference, even, frames

# R1, k2 in 1/s, BPND; all with the reference's k2' of 0.15 / min.
TRUTH = np.array([[1.0, 0.15 / MINUTE, 2.0], [1.2, 0.18 / MINUTE, 0.8], [0.9, 0.135 / MINUTE, 0.2]])
K2PRIME = 0.15 / MINUTE


@pytest.mark.parametrize("prepare", [prepare_mrtm1, prepare_mrtm2])
@pytest.mark.parametrize("integration", ["exact", "trapezium"])
def test_without_noise_the_error_falls_with_the_square_of_the_frames_length(prepare, integration):
    def error(length):
        known = against_reference(even(length), integration="instant")
        curves = srtm.predict(TRUTH, known)
        solve = prepare(against_reference(even(length), integration, held={"k2prime": K2PRIME}))
        found = solve(curves, None).parameters
        BPND = found[:, 2] if prepare is prepare_mrtm1 else found[:, 1]
        return np.abs(BPND - TRUTH[:, 2]).max()

    # Joined by straight lines or summed, an integral errs by the square of the step: a quarter
    # at half the length, with room for the next power.
    assert error(10.0) < 0.36 * error(20.0)
    assert error(10.0) < 0.005


def test_mrtm2_finds_the_k2prime_that_all_regions_share():
    curves = srtm.predict(TRUTH, against_reference(even(10.0)))
    curves = curves + np.random.default_rng(4).normal(scale=0.02, size=curves.shape)
    found = prepare_mrtm2(against_reference(even(10.0)))(curves, None)
    assert found.notes["k2prime"] == pytest.approx(K2PRIME, rel=0.02)
    assert (found.parameters[:, 2] == found.notes["k2prime"]).all()
    np.testing.assert_allclose(found.parameters[:, 1], TRUTH[:, 2], atol=0.02)


def test_a_given_k2prime_is_kept():
    known = against_reference(even(10.0), held={"k2prime": 2 * K2PRIME})
    found = prepare_mrtm2(known)(srtm.predict(TRUTH, known), None)
    assert (found.parameters[:, 2] == 2 * K2PRIME).all()
    assert (found.covariance[:, 2] == 0).all()


def test_a_region_that_does_not_determine_k2prime_has_no_vote():
    known = against_reference(even(10.0))
    curves = np.vstack([srtm.predict(TRUTH, known), known.mean("reference")])
    curves = curves + np.random.default_rng(5).normal(scale=0.02, size=curves.shape)
    first = prepare_mrtm1(known)(curves, None)
    # The reference itself fits any k2': its vote is lost, and the median is of the other three.
    assert common_k2prime(first) == pytest.approx(np.median(srtm.derive(first.parameters)[:3, 0]))


def test_where_no_region_determines_k2prime_it_must_be_given():
    known = against_reference(even(10.0))
    noise = np.random.default_rng(6).normal(size=(3, 540))
    with pytest.raises(InputError, match="hold k2prime at a known value"):
        prepare_mrtm2(known)(known.mean("reference") + 3 * noise, None)


@pytest.mark.parametrize("prepare", [prepare_mrtm1, prepare_mrtm2])
def test_noise_spreads_bpnd_by_its_standard_error(prepare):
    known = against_reference(even(60.0), held={"k2prime": K2PRIME})
    rng = np.random.default_rng(7)
    truth = srtm.predict(TRUTH[:1], known)
    curves = truth + rng.normal(scale=0.01 * truth.max(), size=(2000, truth.size))
    found = prepare(known)(curves, None)
    column = 2 if prepare is prepare_mrtm1 else 1
    stated = np.sqrt(found.covariance[:, column, column])
    # 2,000 draws leave a standard deviation uncertain by 1.6 %; 3 of these.
    assert np.median(stated) == pytest.approx(found.parameters[:, column].std(), rel=0.05)
    inside = np.abs(found.parameters[:, column] - TRUTH[0, 2]) < 1.96 * stated
    assert 0.92 < inside.mean() < 0.98


def test_missing_and_empty_curves_are_not_fitted_and_change_nothing_else():
    known = against_reference(held={"k2prime": K2PRIME})
    good = srtm.predict(TRUTH[:1], known)
    curves = np.vstack([np.full_like(good, np.nan), good, np.zeros_like(good)])
    for prepare in (prepare_mrtm1, prepare_mrtm2):
        found, alone = prepare(known)(curves, None), prepare(known)(good, None)
        assert (found.status[[0, 2]] == Status.NOT_FITTED).all()
        assert np.isnan(found.parameters[[0, 2]]).all()
        np.testing.assert_allclose(found.parameters[1], alone.parameters[0], rtol=1e-12)


def test_a_start_leaves_out_the_frames_before_it_but_not_their_integral():
    known = against_reference(even(10.0), start=1800.0)
    curves = srtm.predict(TRUTH, against_reference(even(10.0)))
    found = prepare_mrtm1(known)(curves, None)
    assert found.notes["t_star"] == 1800.0
    assert np.isnan(found.predicted[:, :180]).all()
    np.testing.assert_allclose(found.parameters[:, 2], TRUTH[:, 2], atol=0.01)


def test_a_scan_that_begins_after_the_bolus_is_refused():
    late = frames(np.full(20, 120.0), start=2400.0)
    with pytest.raises(InputError, match="the first frame starts at 2400 s"):
        prepare_mrtm1(against_reference(late))


def test_frames_with_a_gap_are_refused():
    of = frames()
    keep = np.arange(of.start.size) != 30
    apart = type(of)(start=of.start[keep], duration=of.duration[keep], zero=of.zero)
    with pytest.raises(InputError, match="expected frames in a row"):
        prepare_mrtm1(against_reference(apart))
    prepare_mrtm1(against_reference(apart, gap=300.0))


@pytest.mark.parametrize(("prepare", "column"), [(prepare_mrtm1, 2), (prepare_mrtm2, 1)])
def test_a_tissue_below_zero_is_flagged_however_well_its_curve_tells_it(prepare, column):
    known = against_reference(held={"k2prime": K2PRIME})
    found = prepare(known)(-srtm.predict(TRUTH, known), None)
    assert (found.parameters[:, column] < -1).all()
    assert (found.status & Status.POORLY_IDENTIFIED > 0).all()
