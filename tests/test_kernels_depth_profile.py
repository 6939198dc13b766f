"""Depth profiles: slabs, spheres and exponentials whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels import depth_profile as kernel

SPACING = np.array([1.0, 1.0, 1.0])


def sphere(radius: float):
    reach = int(radius) + 2
    steps = np.indices((2 * reach + 1,) * 3) - reach
    away = np.sqrt((steps**2).sum(axis=0))
    return away <= radius, radius - away


def test_depths_of_a_slab_are_those_of_its_middles():
    slab = np.zeros((7, 40, 40), dtype=bool)
    slab[1:6] = True
    depth = kernel.depth_from_rim(slab, np.array([3.0, 3.0, 3.0]))
    assert depth[1:6, 20, 20].tolist() == [1.5, 4.5, 7.5, 4.5, 1.5]
    assert depth[0].max() == 0


def test_a_region_at_the_edge_ends_there():
    depth = kernel.depth_from_rim(np.ones((1, 1, 1), dtype=bool), np.array([2.0, 3.0, 4.0]))
    assert depth[0, 0, 0] == 1.0


def test_depths_of_a_sphere_are_its_radius_less_the_distance():
    inside, depth = sphere(12.0)
    found = kernel.depth_from_rim(inside, SPACING)
    # The staircase of voxels leaves the sphere by up to a voxel's half diagonal, mostly inwards.
    np.testing.assert_allclose(found[inside], depth[inside], atol=np.sqrt(3) / 2)
    assert (found - depth)[inside].mean() == pytest.approx(0, abs=0.5)


def test_distances_from_a_vessel():
    vessel = np.zeros((11, 11, 5), dtype=bool)
    vessel[5, 5] = True
    distance = kernel.distance_from(vessel, np.array([2.0, 2.0, 9.0]))
    assert distance[5, 5, 2] == 0
    assert distance[8, 5, 2] == 5.0
    assert distance[8, 9, 2] == np.hypot(5.0, 7.0)
    assert np.isnan(kernel.distance_from(np.zeros((2, 2, 2), bool), SPACING)).all()


def test_shells_have_equal_volume_and_keep_the_amount():
    rng = np.random.default_rng(0)
    depth = rng.integers(0, 6, 500).astype(float)
    weights, values = rng.random(500), rng.normal(3, 1, 500)
    shells = kernel.equal_shells(depth, weights, 5)
    np.testing.assert_allclose(shells.sum(axis=1), weights.sum() / 5)
    np.testing.assert_allclose(shells.sum(axis=0), weights)
    assert (shells @ values).sum() == pytest.approx(weights @ values)


def test_a_gradient_has_the_means_of_its_shells():
    depth = (np.arange(1000) + 0.5) / 1000
    shells = kernel.equal_shells(depth, np.ones(1000), 5)
    np.testing.assert_allclose(
        kernel.shell_means(shells, 10 * depth), [1.0, 3.0, 5.0, 7.0, 9.0], rtol=1e-9
    )


def test_a_cold_core_shows_in_the_last_shells_alone():
    inside, depth = sphere(15.0)
    # A fifth of the volume is deeper than R (1 - 0.2^(1/3)); the core is smaller than that.
    cold = depth > 15 * (1 - 0.15 ** (1 / 3))
    values = np.where(cold, 1.0, 5.0)[inside]
    found = kernel.depth_from_rim(inside, SPACING)[inside]
    means = kernel.shell_means(kernel.equal_shells(found, np.ones(found.size), 5), values)
    np.testing.assert_allclose(means[:4], 5.0, atol=0.05)  # voxels at the core's own border
    share = cold[inside].mean() * 5
    assert means[4] == pytest.approx(5 - 4 * share, abs=0.1)


@pytest.mark.parametrize("length", [0.8, 3.0, 40.0, -5.0])
def test_the_length_of_an_exponential_is_found(length):
    inside, depth = sphere(10.0)
    values = 7 * np.exp(-depth[inside] / length)
    rate = kernel.exponential_rate(values, depth[inside], np.ones(values.size))
    assert rate == pytest.approx(1 / length, rel=2e-3)  # depths are binned in 256 steps


def test_an_even_lesion_has_no_rate():
    inside, depth = sphere(6.0)
    even = np.full(int(inside.sum()), 3.0)
    assert kernel.exponential_rate(even, depth[inside], even) == pytest.approx(0, abs=1e-6)
    assert np.isnan(kernel.half_depth(even, depth[inside], even))


def test_the_depth_of_half_uptake_is_where_the_exponential_has_halved():
    inside, depth = sphere(20.0)
    values = np.exp(-depth[inside] / 4.0)
    found = kernel.half_depth(values, depth[inside], np.ones(values.size))
    assert found == pytest.approx(4 * np.log(2), rel=0.05)  # straight between twenty shells


def test_the_unit_changes_no_depth():
    inside, depth = sphere(9.0)
    values, ones = np.exp(-depth[inside] / 4.0), np.ones(int(inside.sum()))
    for measure in (kernel.half_depth, kernel.exponential_rate):
        once, more = (measure(by * values, depth[inside], ones) for by in (1.0, 1e7))
        assert more == pytest.approx(once, rel=1e-6)  # what the search for the rate resolves


def test_a_single_voxel_has_no_profile():
    one = np.ones(1)
    assert np.isnan(kernel.exponential_rate(one, one, one))
    assert np.isnan(kernel.half_depth(one, one, one))
    assert kernel.shell_means(kernel.equal_shells(one, one, 5), one).tolist() == [1.0] * 5
