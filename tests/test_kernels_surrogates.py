"""Surrogates: even fields are called even as often as promised, and a cold core is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from igdd.errors import InputError
from igdd.kernels.surrogates import blurred_noise, lattice_of, null_of, ruler, unevenness

SPACING = np.full(3, 2.0)
FWHM = 6.0
RADIUS = 16.0
FIELDS = 500
SURROGATES = 999


def ball(radius: float):
    reach = int(radius // 2) + 1
    away = np.sqrt((((np.indices((2 * reach + 1,) * 3) - reach) * 2.0) ** 2).sum(axis=0))
    places = np.nonzero(away <= radius)
    return places, (away, lattice_of(places, SPACING))


@pytest.fixture(scope="module", params=[1.0, 0.9, 1.1])
def trial(request):
    """Stated over true point spread, p-values of even fields and of fields with a cold core."""
    places, (away, lattice) = ball(RADIUS)
    core = gaussian_filter((away < RADIUS / 2).astype(float), FWHM / 2.0 / 2.3548)[places]
    stated = request.param * FWHM
    gauge = ruler(lattice, stated, np.ones((1, places[0].size)))
    rng = np.random.default_rng(20)
    null = null_of(gauge, stated, 0.0, rng, SURROGATES)
    found = []
    for _ in range(FIELDS):
        field = blurred_noise(lattice, FWHM, rng)
        pair = [unevenness(one, gauge, null) for one in (field, field - 5.0 * core)]
        found.append((pair[0].p, pair[0].p_cold, pair[1].p_cold))
    return request.param, np.array(found)


def test_false_positives_are_as_promised(trial):
    stated, found = trial
    # 500 fields and 999 surrogates know 5 % to 1.2 %; benchmarks/surrogates.py has 5,000 and 4,999
    low, high = (0.015, 0.085) if stated == 1.0 else (0.0, 0.115)
    for rate in (found[:, :2] <= 0.05).mean(axis=0):
        assert low <= rate <= high


def test_a_cold_core_is_found(trial):
    _, found = trial
    assert (found[:, 2] <= 0.05).mean() >= 0.8  # asked of it


def test_blurred_noise_has_unit_variance_and_its_correlation():
    places, (_, lattice) = ball(12.0)
    rng = np.random.default_rng(0)
    fields = np.stack([blurred_noise(lattice, FWHM, rng) for _ in range(800)])
    assert fields.var() == pytest.approx(1.0, rel=0.02)  # 800 draws of some 30 places
    number = {place: n for n, place in enumerate(zip(*places, strict=True))}
    middle = max(places[0]) // 2 + min(places[0]) // 2
    one, other = (number[(middle + step, middle, middle)] for step in (0, 2))
    sigma = FWHM / 2.3548
    found = np.mean(fields[:, one] * fields[:, other])
    assert found == pytest.approx(np.exp(-(4.0**2) / (4 * sigma**2)), abs=0.12)  # 3 sd of 800


def test_no_unit_and_no_profile_changes_the_answer():
    places, (away, lattice) = ball(10.0)
    profiles = np.stack([np.ones(places[0].size), away[places]])
    gauge = ruler(lattice, FWHM, profiles)
    null = null_of(gauge, FWHM, 0.5, np.random.default_rng(1), 99)
    field = blurred_noise(lattice, FWHM, np.random.default_rng(2)).astype(float)
    first = unevenness(field, gauge, null)
    second = unevenness(1e6 * (field + 3 * profiles[1] + 7), gauge, null)
    assert second.p == first.p
    np.testing.assert_allclose(second.contrast, first.contrast, atol=2e-3)  # single precision


def test_the_cold_place_is_where_the_core_is():
    places, (away, lattice) = ball(RADIUS)
    core = gaussian_filter((away < 6).astype(float), FWHM / 2.0 / 2.3548)[places]
    gauge = ruler(lattice, FWHM, np.ones((1, places[0].size)))
    null = null_of(gauge, FWHM, 0.0, np.random.default_rng(3), 99)
    field = blurred_noise(lattice, FWHM, np.random.default_rng(4)) - 8 * core
    found = unevenness(field, gauge, null)
    cold = -found.contrast.min(axis=0) > found.limit
    assert found.p_cold <= 0.05
    assert cold.any()
    assert away[places][cold].max() < 10.0  # the core and a neighbourhood's reach


def test_a_flat_field_has_no_answer():
    places, (_, lattice) = ball(8.0)
    gauge = ruler(lattice, FWHM, np.ones((1, places[0].size)))
    null = null_of(gauge, FWHM, 0.0, np.random.default_rng(5), 19)
    for value in (0.0, 1e6):
        assert np.isnan(unevenness(np.full(places[0].size, value), gauge, null).p)


def test_a_few_voxels_cannot_be_tested():
    lattice = lattice_of((np.arange(3), np.zeros(3, int), np.zeros(3, int)), SPACING)
    assert ruler(lattice, FWHM, np.ones((1, 3))) is None


def test_a_region_over_the_whole_body_is_refused():
    corners = np.array([0, 400])
    with pytest.raises(InputError, match="too large for surrogates"):
        lattice_of((corners, corners, corners), SPACING)
