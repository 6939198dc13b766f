"""Moran's I and Geary's C against the sum over every pair, written out."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels.autocorrelation import moran_geary


def pairwise(values, region, spacing):
    places = np.argwhere(region) * spacing
    x = values[region]
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    weight = 1 / distance
    away = x - x.mean()
    moran = x.size / weight.sum() * (away @ weight @ away) / (away @ away)
    apart = (weight * (x[:, None] - x[None]) ** 2).sum()
    return moran, (x.size - 1) / (2 * weight.sum()) * apart / (away @ away)


@pytest.mark.parametrize("shape", [(7, 8, 9), (1, 6, 5), (2, 1, 1), (11, 3, 2), (5, 1, 4)])
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.9, 1.7, 5.0)])
def test_the_spectrum_gives_the_sum_over_all_pairs(shape, spacing):
    rng = np.random.default_rng(5)
    values = rng.normal(40, 3, shape)
    region = rng.random(shape) < 0.7
    region.ravel()[[0, -1]] = True
    wanted = pairwise(values, region, np.array(spacing))
    found = moran_geary(values, region, np.array(spacing))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)  # rounding of the transforms


def test_values_outside_the_region_do_not_matter():
    rng = np.random.default_rng(6)
    values = rng.normal(size=(6, 6, 6))
    region = rng.random(values.shape) < 0.5
    before = moran_geary(values, region, np.ones(3))
    values[~region] = np.nan
    assert moran_geary(values, region, np.ones(3)) == before


@pytest.mark.parametrize(("scale", "shift"), [(1e-12, 0.0), (1e12, 5.0), (1.0, 1e6)])
def test_neither_scale_nor_offset_matters(scale, shift):
    rng = np.random.default_rng(7)
    values, region = rng.normal(size=(6, 6, 6)), np.ones((6, 6, 6), bool)
    wanted = moran_geary(values, region, np.ones(3))
    found = moran_geary(values * scale + shift, region, np.ones(3))
    np.testing.assert_allclose(found, wanted, rtol=1e-8)  # eps times shift over spread


def test_a_gradient_is_positively_a_checkerboard_negatively_correlated():
    i, j, k = np.indices((8, 8, 8))
    region = np.ones((8, 8, 8), bool)
    moran, geary = moran_geary(i.astype(float), region, np.ones(3))
    assert moran > 0.1
    assert geary < 1
    moran, _ = moran_geary(((i + j + k) % 2).astype(float), region, np.ones(3))
    assert moran < 0


def test_a_flat_region_and_one_voxel_have_none():
    region = np.ones((3, 3, 3), bool)
    assert np.isnan(moran_geary(np.full((3, 3, 3), 0.1), region, np.ones(3))).all()
    region[:] = False
    region[1, 1, 1] = True
    assert np.isnan(moran_geary(np.arange(27.0).reshape(3, 3, 3), region, np.ones(3))).all()


def test_a_box_too_large_for_memory_is_not_begun():
    region = np.broadcast_to(np.True_, (3000, 3000, 3000))
    small = np.zeros((1, 1, 1))
    from igdd.kernels.autocorrelation import too_large

    assert too_large(region.shape)
    assert not too_large(small.shape)
