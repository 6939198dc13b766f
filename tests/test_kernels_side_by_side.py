"""Scales side by side: what was measured in patients and mice agrees with itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.kernels.side_by_side import scales


@pytest.mark.parametrize(
    ("per_kg", "mass", "share"),
    [(33.0, 36.2, 1.19), (18.3, 114.5, 2.10), (5.3, 234.7, 1.24)],
)
def test_patients_shares_agree_with_their_concentrations(per_kg, mass, share):
    # Head and neck, lung, breast; %ID measured apart: 0.5 to 3.5 (Harrington et al. 2001).
    found = scales(np.array(per_kg / 1000), body_weight=70_000.0, mass=mass)
    assert_allclose(found.percent_id, share, atol=0.005)  # as printed
    assert 0.5 < float(found.percent_id) < 3.5


def test_the_same_uptake_is_another_suv_in_another_body():
    assert_allclose(scales(np.array(5.5), body_weight=25.0).suvbw, 1.4, atol=0.05)
    assert_allclose(scales(np.array(0.033), body_weight=70_000.0).suvbw, 23, atol=0.5)
    low = scales(np.array(0.0053), body_weight=70_000.0).suvbw
    assert_allclose(low, 3.7, atol=0.05)


def test_drug_per_mass_is_the_share_of_its_dose():
    # All of a dose of 2 mg in 100 g: 20 ug/g.
    found = scales(np.array(1.0), dose=2e-3)
    assert_allclose(found.drug_concentration, 20.0)


def test_what_is_not_known_is_not_a_number():
    found = scales(np.array(1.0))
    assert np.isnan([found.suvbw, found.percent_id, found.drug_concentration]).all()
    assert found.percent_id_per_kg == 1000.0


def test_suv_counts_volume_not_mass():
    light, heavy = (scales(np.array(1.0), 25.0, density=rho).suvbw for rho in (1.0, 1.1))
    assert_allclose(heavy / light, 1.1)
