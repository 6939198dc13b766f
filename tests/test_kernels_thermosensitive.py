"""Thermosensitive liposomes: mass balance, and what is known exactly in special cases."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from igdd.errors import InputError
from igdd.kernels.thermal_release import RateTable, SigmoidRate
from igdd.kernels.thermosensitive import PLACES, Heating, Tumour, balance, course

# Per minute, in mL and ug; a tumour of 1 mL in a rat.
TUMOUR = Tumour(
    plasma_volume=10.0, volume=1.0, vessels=0.05, interstitium=0.3, cells=0.6, flow=0.3, PS=0.2,
    liposomal_clearance=0.01, clearance=0.5, k12=0.4, k21=0.05, Vmax=3.0, Ke=0.22, Ki=14.0,
)  # fmt: skip
RATE = SigmoidRate(k37=0.005, kmax=3.0, T50=40.8, w=0.4)
COOL = np.array([0.0, 120.0]), np.full(2, 37.0)
HOT = np.array([0.0, 10.0, 12.0, 42.0, 45.0, 120.0]), np.array([37.0, 37.0, 42.0, 42.0, 37.0, 37.0])
TIMES = np.linspace(0, 120, 121)
PLACE = {name: number for number, name in enumerate(PLACES)}


def heating(history=HOT, dose=100.0, duration=0.0):
    return Heating(dose=dose, duration=duration, time=history[0], temperature=history[1])


@pytest.mark.parametrize("duration", [0.0, 7.0])
@pytest.mark.parametrize("history", [COOL, HOT], ids=["cool", "hot"])
def test_everything_given_is_somewhere(history, duration):
    given = heating(history, duration=duration)
    amounts = course(TUMOUR, given, RATE, TIMES)
    assert np.abs(balance(given, TIMES, amounts)).max() < 1e-6
    assert amounts.min() > -1e-7 * given.dose


def test_without_uptake_the_model_is_linear_and_is_a_matrix_exponential():
    linear = replace(TUMOUR, Vmax=0.0)
    amounts = course(linear, heating(COOL), RATE, TIMES)
    R = float(RATE.at(np.array(37.0)))
    Vp, Vv, Ve = 10.0, 0.05, 0.3
    F, PS, kL, ke, k12, k21 = 0.3, 0.2, 0.01, 0.5, 0.4, 0.05
    K = np.zeros((9, 9))
    K[0, 0], K[0, 1] = -kL - R - F / Vp, F / Vv
    K[1, 0], K[1, 1] = F / Vp, -F / Vv - R
    K[2, 0], K[2, 2], K[2, 3], K[2, 4] = R, -ke - k12 - F / Vp, k21, F / Vv
    K[3, 2], K[3, 3] = k12, -k21
    K[4, 1], K[4, 2], K[4, 4], K[4, 5] = R, F / Vp, -F / Vv - PS / Vv, PS / Ve
    K[5, 4], K[5, 5] = PS / Vv, -PS / Ve
    K[7, 0], K[8, 2] = kL, ke
    start = np.zeros(9)
    start[0] = 100.0
    for minute in (1, 30, 120):
        expected = expm(K * minute) @ start
        # LSODA at a relative 1e-10 of the dose per step
        np.testing.assert_allclose(amounts[minute], expected, rtol=1e-6, atol=1e-6)


def test_a_tumour_without_flow_sees_nothing_and_plasma_loses_by_two_rates():
    apart = replace(TUMOUR, flow=0.0)
    amounts = course(apart, heating(HOT), RATE, TIMES)
    R = float(RATE.at(np.array(37.0)))
    expected = 100 * np.exp(-(0.01 + R) * TIMES)
    np.testing.assert_allclose(amounts[:, PLACE["liposomal_plasma"]], expected, rtol=1e-7)
    assert np.abs(amounts[:, [PLACE["vessels"], PLACE["interstitium"], PLACE["cells"]]]).max() == 0


def test_heat_brings_drug_into_the_tumour_s_cells():
    cool, hot = (
        course(TUMOUR, heating(one), RATE, TIMES)[-1, PLACE["cells"]] for one in (COOL, HOT)
    )
    assert hot > 3 * cool


def test_twice_the_dose_gives_twice_the_amounts_without_saturable_uptake():
    linear = replace(TUMOUR, Vmax=0.0)
    one, two = (course(linear, heating(dose=dose), RATE, TIMES) for dose in (50.0, 100.0))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6, atol=1e-6)


def test_uptake_saturates():
    low, high = (
        course(TUMOUR, heating(dose=dose), RATE, TIMES)[-1, PLACE["cells"]] for dose in (1.0, 1e4)
    )
    assert high < 0.5 * 1e4 * low


def test_samples_on_a_straight_line_are_no_corners():
    fine = np.union1d(HOT[0], np.linspace(0, 120, 1201))
    dense = heating((fine, np.interp(fine, *HOT)))
    one, other = (course(TUMOUR, given, RATE, TIMES) for given in (heating(), dense))
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6)


def test_a_table_that_ends_where_the_history_does_is_enough():
    table = RateTable(temperature=np.array([37.0, 40.0, 42.0]), rate=np.array([0.01, 0.1, 3.0]))
    given = heating()
    amounts = course(TUMOUR, given, table, TIMES)
    assert np.abs(balance(given, TIMES, amounts)).max() < 1e-6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(TUMOUR, volume=0.0), "volume is 0"),
        (lambda: replace(TUMOUR, PS=-1.0), "PS is -1"),
        (lambda: replace(TUMOUR, cells=0.9), "shares of volume sum to 1.25"),
        (lambda: heating(dose=0.0), "dose 0 over 0"),
        (lambda: heating((np.array([0.0, 0.0]), np.full(2, 37.0))), "ascending times"),
        (lambda: heating((np.arange(2.0), np.array([37.0, np.inf]))), "not finite"),
        (lambda: course(TUMOUR, heating(), RATE, np.array([-1.0, 2.0])), "at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
