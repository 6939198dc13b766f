"""Self-dose: the published spheres of Lu-177, limits, and what spheres keep of each kind."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.emissions import JOULE_PER_MEV, emissions
from igdd.errors import InputError
from igdd.self_dose import electron_fraction, fraction_kept, self_dose


def test_lutetium_spheres_are_those_of_the_published_table(reference):
    table = json.loads(reference("delivery/pytheranostics_lu177/spheres_lu177.json").read_text())
    soft = table.get("100%/0%") or next(iter(table.values()))["100%/0%"]
    source = emissions("Lu-177")
    assert len(soft["tumor_mass"]) == 15
    for mass, expected in zip(soft["tumor_mass"], soft["total_s_value"], strict=True):
        found = self_dose(source, mass)
        # two calculations of electrons in water, one printed with three digits; found within 0.6 %
        assert_allclose(found.s_charged + found.s_photon, expected, rtol=0.01)


@pytest.mark.parametrize(
    ("mass", "share"), [(4.31e-3, 0.826), (0.116, 0.945), (0.932, 0.979), (14.6, 1.004)]
)
def test_the_share_of_electron_energy_is_that_of_the_notes(mass, share):
    source = emissions("Lu-177")
    found = self_dose(source, mass)
    whole = found.charged + found.photon
    assert_allclose(whole / source.charged, share, rtol=0.01)


def test_the_kidney_case():
    # 7593.75 MBq h in the mean of four volumes at 1.00 g/mL; PyTheranostics gives 2.7414 Gy
    mass = float(np.mean([233.6082, 234.0918, 247.6473, 248.5828]))
    found = self_dose(emissions("Lu-177"), mass)
    decays = 7593.75 * 3.6e9
    assert_allclose(decays * found.s_local, 2.689, rtol=0.005)
    assert_allclose(decays * (found.s_charged + found.s_photon), 2.7414, rtol=0.03)


def test_density_changes_size_and_not_what_lies_in_the_way():
    # a sphere of bone of the same mass is smaller, and holds more g/cm2 across
    source = emissions("Y-90")
    water, bone = self_dose(source, 1.0, 1.0), self_dose(source, 1.0, 1.92)
    assert bone.charged > water.charged
    # radius in g/cm2 goes with density^(2/3): the same as a larger sphere of water
    same = self_dose(source, 1.92**2, 1.0)
    assert_allclose(bone.charged, same.charged, rtol=1e-9)


def test_bounds_of_a_large_and_a_tiny_mass():
    source = emissions("Re-188")
    assert_allclose(self_dose(source, 1e6).charged, source.charged, rtol=0.01)
    assert self_dose(source, 1e-5).charged < 0.05 * source.charged
    # photons: a small sphere keeps 3/4 of its radius times mu_en, 0.0297 cm2/g (NISTIR 5632)
    assert_allclose(
        fraction_kept("photon", np.array([0.2]), np.array([0.05])), 0.75 * 0.05 * 0.0297, rtol=0.08
    )  # scattered photons add to the first collisions


@given(energy=st.floats(0.003, 5.0), radius=st.floats(1e-3, 30.0))
def test_a_larger_sphere_keeps_more(energy, radius):
    kept, more = (electron_fraction(np.array([energy]), r)[0] for r in (radius, 1.2 * radius))
    assert 0 < kept <= more <= 1
    photon = [fraction_kept("photon", np.array([energy]), np.array([r]))[0]
              for r in (radius, 1.2 * radius)]  # fmt: skip
    assert 0 < photon[0] <= photon[1] * (1 + 1e-9) <= 1 + 1e-9


def test_alphas_stay():
    source = emissions("Ac-225", daughters="equilibrium")
    assert self_dose(source, 1.0).charged > 0.99 * source.charged
    tiny = self_dose(source, 1e-6)  # a radius of 62 um, alphas of 85 um at most
    assert 0.4 < tiny.charged / source.charged < 0.85


def test_energy_is_that_of_the_emissions():
    source = emissions("I-131")
    found = self_dose(source, 20.0)
    assert found.local == source.charged
    assert_allclose(found.s_local, source.charged * JOULE_PER_MEV / 0.020)
    assert 0.9 < found.charged / found.local < 1


@pytest.mark.parametrize(
    ("mass", "density"),
    [(0.0, 1.0), (-1, 1.0), (np.nan, 1.0), (1e9, 1.0), (1.0, 0.0), (1.0, np.nan), (1.0, 100.0)],
)
def test_masses_that_cannot_be_are_refused(mass, density):
    with pytest.raises(InputError):
        self_dose(emissions("Y-90"), mass, density)
