"""Clearance by one, two or three exponentials."""

import numpy as np
import pytest

from igdd.kinetics import Status
from igdd.models.exponential import MODELS, derive, predict
from tissue_curves import frames, protocol

MODEL = {model.name: model for model in MODELS}
HOUR = 3600.0
# Amplitude, rate in 1/s.
ONE = np.array([[10.0, np.log(2) / (3 * HOUR)]])
TWO = np.array([[30.0, np.log(2) / (0.4 * HOUR), 10.0, np.log(2) / (12 * HOUR)]])
THREE = np.array([[60.0, 5e-3, 30.0, np.log(2) / (2 * HOUR), 10.0, np.log(2) / (40 * HOUR)]])
SAMPLES = np.concatenate([np.full(30, 120.0), np.full(22, HOUR), np.full(24, 4 * HOUR)])
CASES = [("mono_exponential", ONE), ("bi_exponential", TWO), ("tri_exponential", THREE)]


def without_input(integration="exact", durations=SAMPLES, start=0.0):
    return protocol(frames(durations, start), inputs={}, integration=integration)


def test_a_long_frame_holds_the_mean_over_it():
    of = without_input(durations=[7200.0])
    A, rate = ONE[0]
    mean = A * (1 - np.exp(-rate * 7200.0)) / (rate * 7200.0)
    assert predict(ONE, of)[0, 0] == pytest.approx(mean, rel=1e-14)
    middle = without_input("instant", [7200.0])
    assert predict(ONE, middle)[0, 0] == pytest.approx(A * np.exp(-rate * 3600.0), rel=1e-14)


@pytest.mark.parametrize(("name", "truth"), CASES)
@pytest.mark.parametrize("integration", ["exact", "instant"])
def test_curves_without_noise_give_their_parameters_back(name, truth, integration):
    known = without_input(integration)
    found = MODEL[name].prepare(known)(predict(truth, known), None)
    np.testing.assert_allclose(found.parameters, truth, rtol=1e-6)
    assert found.status[0] == 0


@pytest.mark.parametrize(("name", "truth"), CASES)
def test_intervals_cover_the_truth(name, truth):
    known = without_input()
    curve = predict(truth, known)
    sd = 0.02 * curve[0] + 0.01
    noise = np.random.default_rng(4).normal(size=(400, curve.size)) * sd
    found = MODEL[name].prepare(known)(curve + noise, sd)
    clear = (found.status & (Status.AT_BOUND | Status.POORLY_IDENTIFIED)) == 0
    assert clear.mean() > 0.95
    error = np.abs(found.parameters - truth)[clear]
    inside = error < 1.99 * np.sqrt(np.einsum("njj->nj", found.covariance)[clear])
    # 400 draws leave a coverage uncertain by 1.1 %: 92 to 98 %, and one of these.
    assert (inside.mean(axis=0) > 0.91).all()
    assert (inside.mean(axis=0) < 0.99).all()


def test_half_lives_stand_by_falling_rate_and_the_residence_time_is_their_mean():
    half1, half2, residence = derive(TWO)[0]
    assert half1 == pytest.approx(0.4 * HOUR)
    assert half2 == pytest.approx(12 * HOUR)
    A1, rate1, A2, rate2 = TWO[0]
    area, moment = A1 / rate1 + A2 / rate2, A1 / rate1**2 + A2 / rate2**2
    assert residence == pytest.approx(moment / area)


def test_the_order_of_the_terms_does_not_depend_on_the_curve():
    known = without_input()
    turned = np.concatenate([TWO[:, 2:], TWO[:, :2]], axis=1)
    solve = MODEL["bi_exponential"].prepare(known)
    found = solve(np.vstack([predict(TWO, known), predict(turned, known)]), None)
    np.testing.assert_allclose(found.parameters[0], found.parameters[1], rtol=1e-9)
    assert found.parameters[0, 1] > found.parameters[0, 3]


def test_two_terms_for_one_are_flagged():
    known = without_input()
    curve = predict(ONE, known)
    noisy = curve + np.random.default_rng(5).normal(scale=0.05, size=(20, curve.size))
    found = MODEL["bi_exponential"].prepare(known)(noisy, None)
    doubt = Status.AT_BOUND | Status.POORLY_IDENTIFIED | Status.NOT_CONVERGED
    assert ((found.status & doubt) != 0).all()


def test_a_curve_without_value_or_signal_is_not_fitted_and_changes_nothing_else():
    known = without_input()
    good = predict(TWO, known)
    curves = np.vstack([np.full_like(good, np.nan), good, np.zeros_like(good)])
    found = MODEL["bi_exponential"].prepare(known)(curves, None)
    assert (found.status[[0, 2]] == Status.NOT_FITTED).all()
    np.testing.assert_allclose(found.parameters[1], TWO[0], rtol=1e-6)


def test_an_infinite_standard_deviation_leaves_a_frame_out():
    known = without_input()
    curve = predict(ONE, known)
    curve[0, 10] = 1e3
    sd = np.where(np.arange(curve.size) == 10, np.inf, 1.0)
    found = MODEL["mono_exponential"].prepare(known)(curve, sd)
    np.testing.assert_allclose(found.parameters, ONE, rtol=1e-6)
    assert np.isnan(found.predicted[0, 10])
