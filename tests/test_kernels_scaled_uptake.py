"""Uptake in another body: against what one agent did in mice and in patients."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.kernels.allometry import Exponent
from igdd.kernels.scaled_uptake import (
    GAIN_SD,
    Body,
    by_equal_suv,
    by_exposure,
    by_permeability,
)

MOUSE, MAN = Body(10.3, 1.0, 24.0), Body(76.1, 3000.0, 72.0)
PATIENTS = (5.3, 18.3, 33.0)  # %ID/kg: means of breast, lung, head and neck
NOISE = 3.0 / 5.5


def test_equal_clearance_per_weight_is_equal_suv():
    proportional = by_exposure(5500.0, 0.0, 2800.0, exponent=Exponent(1.0, 0.0, ""))
    assert_allclose(proportional, by_equal_suv(5500.0, 0.0, 2800.0))


def test_suv_grows_as_clearance_per_weight_falls():
    exposure = by_exposure(5500.0, 0.0, 2800.0, exponent=Exponent(0.74, 0.0, ""))
    equal = by_equal_suv(5500.0, 0.0, 2800.0)
    assert_allclose(exposure.value / equal.value, 2800.0**0.26)


@pytest.mark.parametrize("seen", PATIENTS)
def test_patients_lie_in_the_bands_of_exposure_and_permeability(seen):
    exposure = by_exposure(5500.0, NOISE, 2800.0)
    assert exposure.low < seen < exposure.high
    trapped = by_permeability(5500.0, NOISE, 50.0, (MOUSE, MAN), trapped=True).uptake
    assert trapped.low < seen < trapped.high


def test_equal_suv_is_too_low_for_most_patients():
    # A mouse's SUV of 1.4 against 3.7 to 23 in patients: the size of that error.
    equal = by_equal_suv(5500.0, 0.0, 2800.0)
    assert_allclose(equal.value, 1.96, atol=0.005)
    assert equal.value < min(PATIENTS)


def test_permeability_carries_the_models_ratio():
    found = by_permeability(5500.0, 0.0, 50.0, (MOUSE, MAN), trapped=False)
    assert_allclose(100 * found.here, 1.39, atol=0.005)  # %ID/mL
    assert_allclose(1e5 * found.there, 0.90, atol=0.005)  # %ID/kg
    assert_allclose(found.uptake.value, 5500.0 * found.there / found.here)


def test_the_same_body_gives_the_same_uptake():
    same = by_permeability(7.0, 0.0, 50.0, (MOUSE, MOUSE), trapped=True)
    assert_allclose(same.uptake.value, 7.0)
    assert_allclose(by_exposure(7.0, 0.0, 1.0).value, 7.0)


def test_the_scatter_of_tumours_is_that_of_the_patients():
    between = np.std(np.log(PATIENTS), ddof=1)
    within = np.sqrt(np.mean(np.log(1 + np.array([2.6 / 5.3, 5.7 / 18.3, 15.8 / 33.0]) ** 2)))
    assert_allclose(GAIN_SD, np.hypot(between, within), atol=0.01)
