"""Spatial statistics: against their definitions, summed pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels import spatial_statistics as kernel

SPACING = np.array([1.0, 2.0, 1.5])
CUBE = np.ones(3)


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    region = rng.random((7, 6, 5)) < 0.7
    return rng.normal(5, 2, region.shape), region


def near(region, spacing, radius, *, itself):
    places = np.argwhere(region) * spacing
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    weights = (distance <= radius + 1e-9).astype(float)
    if not itself:
        np.fill_diagonal(weights, 0.0)
    return weights


def test_gi_star_is_its_definition(cloud):
    values, region = cloud
    x = values[region]
    weights = near(region, SPACING, 2.0, itself=True)
    total = weights.sum(axis=1)
    above = weights @ x - x.mean() * total
    spread = x.std() * np.sqrt((x.size * (weights**2).sum(axis=1) - total**2) / (x.size - 1))
    found = kernel.gi_star(values, region, SPACING, 2.0)
    np.testing.assert_allclose(found[region], above / spread, rtol=1e-9)
    assert np.isnan(found[~region]).all()


def test_local_moran_is_its_definition(cloud):
    values, region = cloud
    z = values[region] - values[region].mean()
    weights = near(region, SPACING, 2.0, itself=False)
    total = weights.sum(axis=1)
    around = np.divide(weights @ z, total, out=np.full(z.size, np.nan), where=total > 0)
    found = kernel.local_moran(values, region, SPACING, 2.0)
    np.testing.assert_allclose(found[region], z * around / z.var(), rtol=1e-9)


def test_a_checkerboard_has_only_unlike_neighbours():
    board = np.indices((6, 6, 6)).sum(axis=0) % 2 * 2.0
    found = kernel.local_moran(board, np.ones(board.shape, bool), CUBE, 1.0)
    np.testing.assert_allclose(found, -1.0)


def test_a_hot_corner_is_the_hottest_place():
    values = np.ones((10, 10, 10))
    values[:3, :3, :3] = 4.0
    found = kernel.gi_star(values, np.ones(values.shape, bool), CUBE, 1.5)
    assert np.unravel_index(found.argmax(), found.shape) == (1, 1, 1)


def test_the_unit_changes_nothing(cloud):
    values, region = cloud
    for measure in (kernel.gi_star, kernel.local_moran):
        once, more = (measure(by * values, region, SPACING, 2.0)[region] for by in (1.0, 1e7))
        np.testing.assert_allclose(more, once, rtol=1e-8)


@pytest.mark.parametrize("measure", [kernel.gi_star, kernel.local_moran])
def test_a_flat_region_and_a_single_voxel_are_nan(measure):
    assert np.isnan(measure(np.full((3, 3, 3), 0.1), np.ones((3, 3, 3), bool), CUBE, 1.0)).all()
    assert np.isnan(measure(np.ones((1, 1, 1)), np.ones((1, 1, 1), bool), CUBE, 1.0)).all()


def test_a_radius_over_thousands_of_voxels_is_refused():
    with pytest.raises(InputError, match="choose a smaller one"):
        kernel.neighbours(CUBE, 50.0, itself=True)


def test_the_variogram_is_its_definition(cloud):
    values, region = cloud
    distance, found, pairs = kernel.variogram(values, region, CUBE)
    places, x = np.argwhere(region), values[region]
    lag = np.linalg.norm(places[:, None] - places, axis=-1)
    one = np.isclose(lag, 1.0)
    place = int(np.argmin(np.abs(distance - 1.0)))
    assert distance[place] == pytest.approx(1.0)
    assert pairs[place] == one.sum()
    assert found[place] == pytest.approx((np.subtract.outer(x, x) ** 2)[one].mean() / 2)


def test_the_range_of_blurred_noise_is_one_and_a_half_point_spreads():
    from scipy.ndimage import gaussian_filter

    rng, sigma = np.random.default_rng(1), 2.0
    region = np.ones((48, 48, 48), dtype=bool)
    field = gaussian_filter(rng.standard_normal(region.shape), sigma, mode="wrap")
    found = kernel.variogram_range(*kernel.variogram(field, region, CUBE))
    # correlation exp(-h^2 / (4 sigma^2)): 5 % is left at sqrt(12) sigma; 200 independent places
    assert found == pytest.approx(np.sqrt(12) * sigma, rel=0.1)


def test_a_variogram_model_is_found_again():
    distance = np.arange(1.0, 21.0)
    model = 2.0 - 1.5 * np.exp(-3 * (distance / 9.0) ** 2)
    assert kernel.variogram_range(distance, model, np.ones(20)) == pytest.approx(9.0, rel=1e-3)


def test_regions_without_pairs_have_no_range():
    one = np.ones((1, 1, 1))
    assert np.isnan(kernel.variogram_range(*kernel.variogram(one, one > 0, CUBE)))
    flat = np.full((6, 6, 6), 3.0)
    assert np.isnan(kernel.variogram_range(*kernel.variogram(flat, flat > 0, CUBE)))
