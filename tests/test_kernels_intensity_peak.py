"""Means in a sphere of 1 mL, against a sum over every voxel of the image."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels.intensity_peak import RADIUS, peaks, sphere_means


def brute(image, place, spacing, radius):
    index = np.indices(image.shape).reshape(3, -1).T
    inside = np.linalg.norm((index - place) * spacing, axis=1) <= radius + 1e-9
    values = image.ravel()[inside]
    return values[np.isfinite(values)].mean()


def test_the_sphere_is_one_millilitre():
    assert 4 / 3 * np.pi * RADIUS**3 == pytest.approx(1000)


@pytest.mark.parametrize("spacing", [(2, 2, 2), (4.07, 4.07, 3), (1.3, 2.1, 7.0), (9, 9, 9)])
def test_means_are_those_of_the_voxel_centres_within(spacing):
    rng = np.random.default_rng(1)
    image = rng.normal(size=(15, 13, 11))
    image[rng.random(image.shape) < 0.1] = np.nan
    image[7, 6, 5] = 1.0
    places = np.array([[7, 6, 5], [0, 0, 0], [14, 12, 10], [3, 12, 0]])
    image[tuple(places.T)] = 2.0
    found = sphere_means(image, places, np.array(spacing, float), RADIUS)
    wanted = [brute(image, place, np.array(spacing), RADIUS) for place in places]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)  # sums in another order


def test_the_highest_of_several_maxima_gives_the_local_peak():
    image = np.zeros((30, 15, 15))
    image[5, 7, 7] = image[24, 7, 7] = 10
    image[24, 8, 7] = 9
    region = np.zeros(image.shape, bool)
    region[3:-3, 3:-3, 3:-3] = True  # so that no sphere is cut by the image's border
    local, highest = peaks(image, region, np.array([2.0, 2.0, 2.0]))
    count = 123  # voxel centres of 2 mm within 6.2035 mm
    assert local == pytest.approx(19 / count)
    assert highest == pytest.approx(19 / count)


def test_voxels_outside_the_region_count():
    image = np.ones((9, 9, 9))
    region = np.zeros(image.shape, bool)
    region[4, 4, 4] = True
    image[4, 4, 5] = 124.0
    local, _ = peaks(image, region, np.array([2.0, 2.0, 2.0]))
    assert local == pytest.approx(2.0)
