"""Shape: boxes, spheres and ellipsoids whose size is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import eval_legendre

from igdd.kernels.morphology import centre_shift, ellipsoid_area, principal_axes, shape


def ball(radius, spacing=(1.0, 1.0, 1.0), size=41):
    index = np.indices((size,) * 3) - size // 2
    scaled = index * np.array(spacing)[:, None, None, None]
    return (scaled**2).sum(axis=0) <= radius**2


def test_a_box_loses_only_its_corners_to_the_mesh():
    region = np.zeros((12, 10, 8), bool)
    region[1:11, 1:9, 1:7] = True
    found = shape(region, np.array([1.0, 2.0, 3.0]))
    # Marching cubes at 0.5 cuts every edge: one eighth of a voxel along each of 12 edges, less
    # what the 8 corners count twice (each corner piece is 1/6 of an eighth of a voxel).
    edge = 4 * (10 + 8 + 6 - 3) / 8
    corner = 8 * (1 / 8 - 1 / 48)
    assert found["volume"] == pytest.approx((480 - edge - corner) * 6, rel=1e-6)
    assert found["vol_approx"] == 480 * 6
    assert found["vol_dens_aabb"] == pytest.approx(found["volume"] / (480 * 6), rel=1e-6)
    assert found["vol_dens_conv_hull"] == pytest.approx(1, rel=1e-6)
    assert found["area_dens_conv_hull"] == pytest.approx(1, rel=1e-6)


def test_a_ball_is_as_large_as_it_should_be_and_round():
    radius = 15.0
    found = shape(ball(radius), np.ones(3))
    assert found["volume"] == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)  # of staircase
    assert found["diam"] == pytest.approx(2 * radius, abs=1.5)  # half a voxel at both ends
    assert found["pca_maj_axis"] == pytest.approx(4 * radius / np.sqrt(5), rel=0.01)
    assert found["pca_elongation"] == pytest.approx(1, abs=1e-6)
    assert 0.9 < found["sphericity"] <= 1
    assert found["sph_dispr"] * found["sphericity"] == pytest.approx(1)
    assert found["comp_2"] == pytest.approx(found["sphericity"] ** 3)
    assert found["asphericity"] == pytest.approx(found["comp_2"] ** (-1 / 3) - 1)


def test_size_scales_with_the_voxel_and_shape_does_not():
    region = ball(9.0, (1.0, 1.4, 2.0), 25)
    one, three = (shape(region, np.array([1.0, 1.4, 2.0]) * scale) for scale in (1, 3))
    assert three["volume"] == pytest.approx(27 * one["volume"], rel=1e-6)
    assert three["area_mesh"] == pytest.approx(9 * one["area_mesh"], rel=1e-6)
    assert three["diam"] == pytest.approx(3 * one["diam"], rel=1e-6)
    for name in ("sphericity", "comp_1", "vol_dens_aee", "area_dens_aee", "pca_flatness"):
        assert three[name] == pytest.approx(one[name], rel=1e-5), name


def test_the_diameter_is_the_largest_distance_between_any_two_vertices():
    from scipy.spatial.distance import pdist

    from igdd.kernels.morphology import surface

    region = np.random.default_rng(2).random((9, 8, 7)) < 0.2
    spacing = np.array([1.0, 2.0, 0.7])
    vertices, _ = surface(region, spacing)
    assert shape(region, spacing)["diam"] == pytest.approx(pdist(vertices).max(), rel=1e-9)


@pytest.mark.parametrize("semi", [(3, 2.9, 1), (3, 1.1, 1), (5, 3, 2), (2, 1.9, 1.8)])
def test_the_surface_of_an_ellipsoid_is_the_series_of_the_manual(semi):
    a, b, c = semi
    alpha, beta = np.sqrt(1 - (b / a) ** 2), np.sqrt(1 - (c / a) ** 2)
    argument = (alpha**2 + beta**2) / (2 * alpha * beta)
    terms = [(alpha * beta) ** n / (1 - 4 * n**2) * eval_legendre(n, argument) for n in range(21)]
    wanted = 4 * np.pi * a * b * sum(terms)
    assert ellipsoid_area(np.array(semi, float)) == pytest.approx(wanted, rel=1e-9)


def test_the_surface_of_a_sphere_is_exact():
    assert ellipsoid_area(np.full(3, 2.0)) == pytest.approx(16 * np.pi, rel=1e-12)


def test_axes_do_not_depend_on_where_the_region_lies():
    region = np.zeros((30, 30, 30), bool)
    region[3:9, 3:6, 3:5] = True
    there = np.roll(region, (20, 20, 20), axis=(0, 1, 2))
    np.testing.assert_allclose(
        principal_axes(region, np.ones(3)), principal_axes(there, np.ones(3)), rtol=1e-9
    )


def test_one_voxel_has_a_volume_but_no_axes():
    region = np.zeros((3, 3, 3), bool)
    region[1, 1, 1] = True
    found = shape(region, np.ones(3))
    assert found["volume"] == pytest.approx(1 / 6)  # an octahedron
    for name in ("pca_maj_axis", "pca_elongation", "vol_dens_aee", "area_dens_aee"):
        assert np.isnan(found[name]), name


def test_a_flat_region_has_no_ellipsoid():
    region = np.zeros((6, 6, 6), bool)
    region[1:5, 1:4, 2] = True
    found = shape(region, np.ones(3))
    assert found["pca_least_axis"] == 0
    assert found["pca_flatness"] == 0
    assert np.isnan(found["vol_dens_aee"])


def test_a_region_at_the_border_of_the_image_is_closed():
    region = np.ones((4, 4, 4), bool)
    inside = np.pad(region, 3)
    assert shape(region, np.ones(3)) == pytest.approx(shape(inside, np.ones(3)), rel=1e-6)


def test_the_centre_moves_to_where_the_intensity_is():
    region = np.ones((4, 1, 1), bool)
    image = np.array([0.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)
    assert centre_shift(region, region, image, np.array([2.0, 1.0, 1.0])) == pytest.approx(3.0)
    image = np.array([-1.0, 1.0, 0.0, 0.0]).reshape(4, 1, 1)
    assert np.isnan(centre_shift(region, region, image, np.ones(3)))
