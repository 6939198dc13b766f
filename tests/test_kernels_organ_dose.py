"""Sums over sources, scaling by mass and species, marrow, and the chain of uncertainty."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels import organ_dose


def test_a_source_without_decays_needs_no_s_value():
    found = organ_dose.mird_sum(np.array([[1e-12, np.nan], [np.nan, 2e-12]]), np.array([1e12, 0.0]))
    assert_allclose(found, [1.0, np.nan])


def test_self_dose_scales_with_the_mass():
    found = organ_dose.scaled_to_mass(np.array([2e-12]), np.array([300.0]), np.array([200.0]))
    assert_allclose(found, 3e-12)
    with pytest.raises(InputError, match="above 0"):
        organ_dose.scaled_to_mass(np.array([1.0]), np.array([0.0]), np.array([1.0]))


def test_marrow_to_blood():
    assert_allclose(organ_dose.marrow_to_blood(0.40), 0.19 / 0.6)
    for wrong in (-0.1, 0.9, 42.0, np.nan):
        with pytest.raises(InputError, match="haematocrit"):
            organ_dose.marrow_to_blood(wrong)


def test_a_mouse_organ_of_the_human_share_keeps_its_percentage():
    # 1.74 g of liver in a mouse of 25 g; a human liver of the same share of the body
    share = organ_dose.to_human(np.array([10 / 1.74]), 25.0, 70_000 * 1.74 / 25, 70_000.0)
    assert_allclose(share, 10.0)
    assert_allclose(organ_dose.human_time(np.array([24.0]), 25.0, 70_000.0), 24 * 2800**0.25)
    with pytest.raises(InputError):
        organ_dose.to_human(np.array([1.0]), 25.0, 80_000.0, 70_000.0)
    with pytest.raises(InputError):
        organ_dose.human_time(np.array([1.0]), 0.0, 70_000.0)


def test_the_volumes_two_effects_are_one_error():
    rng = np.random.default_rng(3)
    fit, volume, calibration, recovery, elasticity, power = 0.05, 0.12, 0.03, 0.04, 0.6, 0.98
    n = 400_000
    outline = volume * rng.standard_normal(n)
    logs = (
        fit * rng.standard_normal(n) + recovery * rng.standard_normal(n)
        + calibration * rng.standard_normal(n) + (elasticity - power) * outline
    )  # fmt: skip
    found, shared = organ_dose.dose_cv(
        np.array([fit]), np.array([volume]), calibration=calibration, recovery=recovery,
        elasticity=elasticity, mass_power=power,
    )  # fmt: skip
    assert_allclose(found[0], logs.std(), rtol=0.006)  # five standard errors of 400,000 draws
    assert shared == calibration


def test_an_outline_that_carries_its_activity_along_costs_no_dose():
    found, _ = organ_dose.dose_cv(np.array([0.0]), np.array([0.2]), elasticity=1.0)
    assert_allclose(found, 0.0, atol=1e-12)
    alone, _ = organ_dose.dose_cv(np.array([0.0]), np.array([0.2]))
    assert_allclose(alone, 0.2)


@pytest.mark.parametrize("wrong", [{"calibration": -0.1}, {"recovery": 1.5}, {"elasticity": 3.0},
                                   {"calibration": float("nan")}])  # fmt: skip
def test_shares_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        organ_dose.dose_cv(np.array([0.1]), np.array([0.1]), **wrong)
