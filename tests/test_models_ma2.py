"""MA2 against the two-tissue model that it integrates twice."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import two_tissue
from igdd.models.ma2 import _natural, derive, predict, prepare
from tissue_curves import MINUTE, bolus, even, frames, protocol

# K1, k2, k3, k4 in 1/s, Vb, delay in s.
TRUTH = np.array(
    [[0.12, 0.15, 0.05, 0.03, 0, 0], [0.3, 0.4, 0.02, 0.05, 0, 0], [0.08, 0.06, 0.1, 0.04, 0, 0]]
) / np.array([MINUTE, MINUTE, MINUTE, MINUTE, 1, 1])
VOLUMES = derive(TRUTH)


def with_blood(of=None, held=None, **options):
    inputs = {"plasma": bolus(), "blood": bolus("blood", "total", 0.8)}
    return protocol(of, inputs, held=held, **options)


def test_the_forward_model_and_the_volumes_are_the_two_tissue_models():
    parameters = TRUTH + np.array([0, 0, 0, 0, 0.05, 7.0])
    known = with_blood()
    np.testing.assert_allclose(
        predict(parameters, known), two_tissue.predict(parameters, known), rtol=1e-12
    )
    np.testing.assert_allclose(derive(TRUTH), two_tissue.derive(TRUTH), rtol=1e-14)


@pytest.mark.parametrize("integration", ["exact", "trapezium"])
def test_without_noise_the_error_falls_with_the_square_of_the_frames_length(integration):
    def error(length):
        of = even(length)
        curves = predict(TRUTH, protocol(of, integration="instant"))
        found = prepare(protocol(of, integration=integration))(curves, None).parameters
        return np.abs(derive(found)[:, 0] / VOLUMES[:, 0] - 1).max()

    # A quarter at half the length, with room for the next power.
    assert error(5.0) < 0.36 * error(10.0)
    assert error(5.0) < 0.01


def test_frames_as_scanners_take_them_give_the_volumes():
    found = prepare(protocol())(predict(TRUTH, protocol()), None)
    # Frames of 5 min, level within each: what is left of that is below 1 % in VT.
    np.testing.assert_allclose(derive(found.parameters)[:, 0], VOLUMES[:, 0], rtol=0.01)


def test_derivatives_of_the_rate_constants_are_those_of_their_formula():
    g = np.array([[2e-5, 2e-3, -1e-7, -3e-3]])
    _, derivative = _natural(g)
    for column in range(4):
        step = 1e-6 * g[0, column] * (np.arange(4) == column)
        change = (_natural(g + step)[0] - _natural(g - step)[0]) / (2 * step[column])
        np.testing.assert_allclose(derivative[:, :, column], change, rtol=1e-6, atol=1e-12)


def test_held_blood_and_delay_are_taken_out():
    held = {"Vb": 0.05, "delay": 12.0}
    known = with_blood(even(5.0), held)
    parameters = TRUTH + np.array([0, 0, 0, 0, 0.05, 12.0])
    found = prepare(known)(predict(parameters, known), None)
    np.testing.assert_allclose(derive(found.parameters)[:, 0], VOLUMES[:, 0], rtol=0.01)
    np.testing.assert_array_equal(found.parameters[:, 4:], [[0.05, 12.0]] * 3)
    assert (found.covariance[:, 4:] == 0).all()


def test_noise_spreads_k1_and_vt_by_their_standard_errors():
    of = even(30.0)
    truth = predict(TRUTH[:1], protocol(of))
    rng = np.random.default_rng(11)
    curves = truth + rng.normal(scale=0.005 * truth.max(), size=(1000, truth.size))
    found = prepare(protocol(of))(curves, None)
    middle = np.median(found.parameters, axis=0)
    steps = 1e-6 * np.diag(middle)[:4]
    slope = (derive(middle + steps) - derive(middle - steps))[:, 0] / (2 * np.diag(steps))
    covariance = np.median(found.covariance, axis=0)[:4, :4]
    # 1,000 draws leave a standard deviation uncertain by 2.2 %; 4 of these.
    assert np.sqrt(covariance[0, 0]) == pytest.approx(found.parameters[:, 0].std(), rel=0.09)
    VT = derive(found.parameters)[:, 0]
    assert np.sqrt(slope @ covariance @ slope) == pytest.approx(VT.std(), rel=0.09)


def test_a_missing_curve_is_not_fitted_and_changes_nothing_else():
    good = predict(TRUTH[:1], protocol())
    curves = np.vstack([np.full_like(good, np.nan), good, np.zeros_like(good)])
    found, alone = prepare(protocol())(curves, None), prepare(protocol())(good, None)
    assert (found.status[[0, 2]] == Status.NOT_FITTED).all()
    np.testing.assert_allclose(found.parameters[1], alone.parameters[0], rtol=1e-12)


def test_rates_that_oscillate_have_no_curve():
    curve = predict(np.array([[1e-3, 1e-3, -9e-4, 2e-3, 0, 0]]), protocol())
    assert np.isnan(curve).all()


def test_frames_with_a_gap_or_begun_late_are_refused():
    of = frames()
    keep = np.arange(of.start.size) != 30
    apart = type(of)(start=of.start[keep], duration=of.duration[keep], zero=of.zero)
    with pytest.raises(InputError, match="expected frames in a row"):
        prepare(protocol(apart))
    with pytest.raises(InputError, match="the first frame starts at 1800 s"):
        prepare(protocol(frames(np.full(10, 300.0), start=1800.0)))
