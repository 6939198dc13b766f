"""Logan's plot against a reference tissue."""

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import logan, srtm
from igdd.models.reference_logan import derive, predict, prepare
from tissue_curves import MINUTE, against_reference, even, frames, protocol, reference

K2PRIME = 0.15 / MINUTE
# R1, k2, BPND of the simplified reference tissue model, on whose plot the line holds throughout.
TRUTH = np.array([[1.0, K2PRIME, 2.0], [1.2, 1.2 * K2PRIME, 0.8], [0.9, 0.9 * K2PRIME, 0.2]])
LINE = np.stack([1 + TRUTH[:, 2], -(1 + TRUTH[:, 2]) / TRUTH[:, 1]], axis=1)


def test_with_k2prime_the_line_is_the_simplified_reference_tissue_model():
    known = against_reference(k2prime=K2PRIME)
    np.testing.assert_allclose(predict(LINE, known), srtm.predict(TRUTH, known), rtol=1e-12)


def test_without_k2prime_it_is_logans_plot_with_the_reference_as_plasma():
    curve = reference()
    plasma = replace(curve, compartment="plasma")
    curves = srtm.predict(TRUTH, against_reference())
    found = prepare(against_reference(start=1200.0))(curves, None)
    same = logan.prepare(protocol(inputs={"plasma": plasma}, start=1200.0))(curves, None)
    np.testing.assert_allclose(found.parameters, same.parameters[:, :2], rtol=1e-12)
    np.testing.assert_allclose(found.covariance, same.covariance[:, :2, :2], rtol=1e-9)


@pytest.mark.parametrize("integration", ["exact", "trapezium"])
def test_without_noise_the_error_falls_with_the_square_of_the_frames_length(integration):
    def error(length):
        curves = srtm.predict(TRUTH, against_reference(even(length), "instant"))
        known = against_reference(even(length), integration, k2prime=K2PRIME, start=600.0)
        return np.abs(prepare(known)(curves, None).parameters[:, 0] - LINE[:, 0]).max()

    # A quarter at half the length, with room for the next power.
    assert error(20.0) < 0.36 * error(40.0)
    assert error(20.0) < 1e-3


def test_t_star_is_found_by_rule_and_said():
    curves = srtm.predict(TRUTH, against_reference())
    found = prepare(against_reference())(curves, None)
    assert found.notes["t_star"] == found.notes["t_star_by_rule"] > 0
    # Ten per cent of straightness, and k2' left out.
    np.testing.assert_allclose(found.parameters[:, 0], LINE[:, 0], rtol=0.1)


def test_bpnd_is_the_ratio_less_one():
    np.testing.assert_allclose(derive(LINE)[:, 0], TRUTH[:, 2], rtol=1e-12)


def test_frame_means_of_a_reference_are_summed_as_the_tissues_are():
    of = frames()
    means = against_reference().mean("reference")[0]
    curve = replace(
        reference(),
        time=np.concatenate([[0.0], of.middle]),
        values=np.concatenate([[0.0], means]),
    )
    between = np.sort(np.concatenate([curve.time, (curve.time[1:] + curve.time[:-1]) / 2]))
    finer = replace(curve, time=between, values=np.interp(between, curve.time, curve.values))
    found = [
        prepare(protocol(of, {"reference": one}, start=600.0))(means[None], None).parameters[0]
        for one in (curve, finer)
    ]
    # The reference against itself, and knots on its lines change nothing.
    assert found[0][0] == pytest.approx(1, abs=1e-12)
    assert found[1][0] == pytest.approx(1, abs=1e-12)


def test_bootstrap_errors_are_of_the_size_of_the_scatter():
    known = against_reference(start=1800.0, k2prime=K2PRIME, replicates=100)
    truth = srtm.predict(TRUTH[:1], known)
    noise = np.random.default_rng(3).normal(scale=0.01 * truth.max(), size=(200, truth.size))
    found = prepare(known)(truth + noise, None)
    stated = np.sqrt(np.median(found.covariance[:, 0, 0]))
    # The noise before t* is in the integrals and in no residual: a half either way.
    assert stated == pytest.approx(found.parameters[:, 0].std(), rel=0.5)


def test_missing_and_empty_curves_are_not_fitted_and_change_nothing_else():
    known = against_reference(start=1200.0)
    good = srtm.predict(TRUTH[:1], known)
    curves = np.vstack([np.full_like(good, np.nan), good, np.zeros_like(good)])
    found, alone = prepare(known)(curves, None), prepare(known)(good, None)
    assert (found.status[[0, 2]] == Status.NOT_FITTED).all()
    np.testing.assert_array_equal(found.parameters[1], alone.parameters[0])


def test_a_k2prime_of_nothing_a_late_scan_and_an_empty_reference_are_refused():
    with pytest.raises(InputError, match="k2prime is 0 1/s"):
        prepare(against_reference(k2prime=0.0))
    with pytest.raises(InputError, match=r"k2prime is 0\.1 1/s, 6 1/min; expected at most 2 1/min"):
        prepare(against_reference(k2prime=0.1))
    with pytest.raises(InputError, match="the first frame starts at 2400 s"):
        prepare(against_reference(frames(np.full(20, 120.0), start=2400.0)))
    empty = replace(reference(), values=np.zeros(reference().time.size))
    with pytest.raises(InputError, match="expected above 0"):
        prepare(protocol(inputs={"reference": empty}))
