"""Photons in water: cross-sections, what they keep, how far they come."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels import photon_tracks
from igdd.kernels.photon_tracks import cross_sections, radial_photons


def within(energy: float, radius: float, histories: int = 20_000) -> float:
    found = radial_photons(np.array([energy]), np.array([1.0]), radius, histories, seed=1)
    return float(found.energy.sum()) / energy


def test_cross_sections_are_those_of_the_tables_of_water():
    """Attenuation without coherent scattering and absorption of water, NISTIR 5632 and XCOM.

    Binding lowers Compton scattering by 3 % at 60 keV and 1 % at 100 keV; it is left out here.
    """
    energy = np.array([0.06, 0.1, 0.2, 0.5, 1.0])
    compton, photo, transfer = cross_sections(energy)
    attenuation = np.array([0.1920, 0.1654, 0.1356, 0.09665, 0.07070])
    absorption = np.array([0.03190, 0.02546, 0.02967, 0.03299, 0.03103])
    np.testing.assert_allclose(compton + photo, attenuation, rtol=3e-2)
    np.testing.assert_allclose(photo + transfer, absorption, rtol=1e-2)


def test_klein_nishina_tends_to_thomson():
    compton, _, transfer = cross_sections(np.array([1e-3]))
    thomson = 8 * np.pi / 3 * (2.8179403262e-13) ** 2 * 6.02214076e23 * 10 / 18.01528
    assert float(compton[0]) == pytest.approx(thomson, rel=5e-3)  # 1 - 2 k at 1 keV
    assert float(transfer[0]) < 0.003 * thomson


@pytest.mark.parametrize("energy", [0.02, 0.1, 0.4, 1.5])
def test_all_energy_is_left_in_enough_water(energy):
    # 20,000 histories: one part in 300
    assert within(energy, 300.0) == pytest.approx(1.0, abs=1e-2)


def test_little_is_left_near_the_source_and_by_first_collisions():
    """Within 1 mm: absorption coefficient times distance, before anything is attenuated."""
    absorption = 0.03192  # cm2/g at 0.3 MeV, NISTIR 5632
    assert within(0.3, 0.1) == pytest.approx(absorption * 0.1, rel=2e-2)


def test_photons_below_the_limit_stay_where_they_start():
    found = radial_photons(np.array([0.004]), np.array([3.0]), 1.0, 1000, seed=1)
    assert found.energy[0] == pytest.approx(0.012)
    assert found.energy[1:].sum() == 0.0


def test_the_same_seed_gives_the_same_bytes():
    one, same, other = (
        radial_photons(np.array([0.3]), np.ones(1), 10.0, 2000, seed) for seed in (1, 1, 2)
    )
    assert one.energy.tobytes() == same.energy.tobytes()
    assert one.energy.tobytes() != other.energy.tobytes()


def test_scattered_photons_have_the_angles_and_the_mean_energy_of_klein_and_nishina():
    state = np.array([3], np.uint64)
    for energy in (0.05, 0.5, 2.0):
        drawn = np.array([photon_tracks._compton(energy, state) for _ in range(30_000)])
        kept, cosine = drawn.T
        compton, _, transfer = cross_sections(np.array([energy]))
        # 30,000 photons: a standard error of 0.0015 at most
        assert 1 - kept.mean() == pytest.approx(float(transfer[0] / compton[0]), abs=6e-3)
        np.testing.assert_allclose(kept, 1 / (1 + energy / 0.51099895 * (1 - cosine)), rtol=1e-9)


@pytest.mark.parametrize(
    ("energy", "farthest"), [(0.0, 1.0), (np.nan, 1.0), (20.0, 1.0), (0.3, 0.0), (0.3, np.inf)]
)
def test_what_cannot_be_followed_is_refused(energy, farthest):
    with pytest.raises(InputError, match="expected"):
        radial_photons(np.array([energy]), np.ones(1), farthest, 100, seed=1)
