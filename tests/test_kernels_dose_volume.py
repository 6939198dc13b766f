"""Dose and volume: histogram, D_x, V_d, EUD, BED."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igdd.errors import InputError
from igdd.kernels import dose_volume as dv

doses = st.lists(st.floats(0, 300), min_size=1, max_size=40).map(np.array)


def test_a_ramp_has_the_histogram_of_a_ramp():
    ramp = (np.arange(1000) + 0.5) / 10  # 0 to 100 Gy
    found = dv.dose_volume(ramp, np.ones(1000))
    assert dv.dose_to(found, 95) == pytest.approx(5.0, abs=0.06)  # half a step
    assert dv.dose_to(found, 50) == pytest.approx(50.0, abs=0.06)
    assert dv.volume_from(found, 70.0) == pytest.approx(0.30, abs=1e-12)
    assert dv.mean(ramp, np.ones(1000)) == pytest.approx(50.0)


def test_weights_are_shares_of_voxels():
    found = dv.dose_volume(np.array([10.0, 20.0]), np.array([0.25, 0.75]))
    assert dv.volume_from(found, 15.0) == 0.75
    assert dv.dose_to(found, 75) == 20.0
    assert dv.dose_to(found, 76) == 10.0


@settings(max_examples=60, deadline=None)
@given(doses, st.floats(0.5, 100))
def test_the_volume_with_d_x_or_more_is_at_least_x(dose, percent):
    found = dv.dose_volume(dose, np.ones(dose.size))
    level = dv.dose_to(found, percent)
    assert dv.volume_from(found, level) >= percent / 100 * (1 - 1e-9)
    above = dose[dose > level]
    if above.size:  # and it is the highest such dose
        assert dv.volume_from(found, float(above.min())) < percent / 100


@settings(max_examples=60, deadline=None)
@given(doses, st.floats(0.05, 1.0))
def test_uniform_doses_lie_between_lowest_and_mean(dose, alpha):
    weights = np.ones(dose.size)
    eud = dv.equivalent_uniform(dose, weights, alpha)
    slack = 1e-9 * (1 + dose.max())
    assert dose.min() - slack <= eud <= dose.mean() + slack
    assert dv.generalised_eud(dose, weights, 1.0) == pytest.approx(dose.mean(), rel=1e-9)
    assert dose.mean() - slack <= dv.generalised_eud(dose, weights, 8.0) <= dose.max() + slack


def test_an_even_dose_is_its_own_uniform_dose():
    even, weights = np.full(7, 123.0), np.arange(1.0, 8.0)
    assert dv.equivalent_uniform(even, weights, 0.3) == pytest.approx(123.0, rel=1e-12)
    for exponent in (-10.0, 0.5, 20.0):
        assert dv.generalised_eud(even, weights, exponent) == pytest.approx(123.0, rel=1e-12)


def test_a_cold_spot_rules_survival():
    """A tenth without dose: nine tenths die, EUD = ln(10) / alpha."""
    dose = np.array([0.0, *[400.0] * 9])
    assert dv.equivalent_uniform(dose, np.ones(10), 0.4) == pytest.approx(np.log(10) / 0.4)
    assert dv.generalised_eud(dose, np.ones(10), -5.0) == 0.0


def test_survival_does_not_vanish_at_doses_where_it_does_in_numbers():
    """exp(-alpha D) underflows from 2,000 Gy on: the answer does not."""
    dose = np.array([5000.0, 5010.0])
    found = dv.equivalent_uniform(dose, np.ones(2), 0.5)
    assert found == pytest.approx(5000 + np.log(2) / 0.5 - np.log1p(np.exp(-5.0)) / 0.5)


def test_the_kidney_of_the_published_case_has_its_published_bed():
    """PyTheranostics, Lu-177: 2.7414 Gy, alpha/beta 2.6 Gy, repair 2.8 h, effective 49.2 h."""
    factor = dv.repair_factor(2.8, 49.2)
    bed = dv.biologically_effective(np.array([2.7414]), 2.6, factor)
    assert bed[0] == pytest.approx(2.897, abs=5e-4)  # as printed


def test_a_negative_dose_keeps_its_sign_and_has_no_power():
    dose = np.array([-1.0, 5.0])
    assert dv.mean(dose, np.ones(2)) == 2.0
    assert np.isnan(dv.generalised_eud(dose, np.ones(2), 3.0))
    assert dv.generalised_eud(dose, np.ones(2), 1.0) == 2.0


def test_no_dose_at_all_is_0():
    assert dv.generalised_eud(np.zeros(3), np.ones(3), 2.0) == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dv.dose_volume(np.ones(2), np.ones(3)), "one for each"),
        (lambda: dv.dose_volume(np.empty(0), np.empty(0)), "one for each"),
        (lambda: dv.dose_volume(np.array([np.nan]), np.ones(1)), "not a number"),
        (lambda: dv.dose_volume(np.ones(2), np.zeros(2)), "add up to 0"),
        (lambda: dv.dose_to(dv.dose_volume(np.ones(1), np.ones(1)), 0.0), "above 0"),
        (lambda: dv.dose_to(dv.dose_volume(np.ones(1), np.ones(1)), 101.0), "at most 100"),
        (lambda: dv.generalised_eud(np.ones(1), np.ones(1), 0.0), "exponent"),
        (lambda: dv.equivalent_uniform(np.ones(1), np.ones(1), 0.0), "alpha"),
        (lambda: dv.biologically_effective(np.ones(1), 0.0, 0.1), "alpha/beta"),
        (lambda: dv.repair_factor(0.0, 1.0), "half-lives"),
    ],
)
def test_what_has_no_meaning_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
