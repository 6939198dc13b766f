"""Geometric rules: volumes against formulas, weights against brute force, algebra against sets."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conftest_dicom import tilted
from igdd.errors import InputError
from igdd.kernels import shapes

UPRIGHT = np.diag([1.0, 1.0, 1.0, 1.0])
UNEVEN = np.diag([2.0, 2.0, 4.0, 1.0])


def sheared() -> np.ndarray:
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    affine[:3, 2] = [0.3, 0.8, 3.0]
    affine[:3, 3] = [40.0, -20.0, 11.0]
    return affine


LATTICES = {"upright": UPRIGHT, "uneven": UNEVEN, "tilted": tilted().affine, "sheared": sheared()}


def middle(affine: np.ndarray, shape: tuple[int, int, int], off=(0.0, 0.0, 0.0)) -> np.ndarray:
    indices = (np.array(shape) - 1) / 2 + np.array(off)
    return affine[:3, :3] @ indices + affine[:3, 3]


def ball(diameter: float) -> float:
    return np.pi / 6 * diameter**3


@pytest.mark.parametrize("affine", LATTICES.values(), ids=LATTICES.keys())
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_sphere_of_three_voxels_or_more_has_its_volume(affine: np.ndarray, seed: int):
    random = np.random.default_rng(seed)
    diameter = random.uniform(3, 12) * np.linalg.norm(affine[:3, :3], axis=0).max()
    shape = (60, 60, 40)
    centre = middle(affine, shape, random.uniform(-0.5, 0.5, 3))
    weights = shapes.sphere_weights(shape, affine, centre, diameter)
    volume = weights.sum() * abs(np.linalg.det(affine[:3, :3]))
    assert_allclose(volume, ball(diameter), rtol=1e-3)  # the line's own requirement


@pytest.mark.parametrize("affine", LATTICES.values(), ids=LATTICES.keys())
def test_sphere_weights_are_shares_of_voxels(affine: np.ndarray):
    shape, diameter = (12, 12, 12), 13.0
    centre = middle(affine, shape, (0.2, -0.4, 0.3))
    steps = 12
    fine = (np.arange(12 * steps) + 0.5) / steps - 0.5
    indices = np.stack(np.meshgrid(fine, fine, fine, indexing="ij"), axis=-1)
    away = indices @ affine[:3, :3].T + affine[:3, 3] - centre
    inside = (away**2).sum(axis=-1) <= (diameter / 2) ** 2
    counted = inside.reshape(12, steps, 12, steps, 12, steps).mean(axis=(1, 3, 5))
    weights = shapes.sphere_weights(shape, affine, centre, diameter)
    # Of 12 x 12 lines through a voxel the surface cuts each at a place known to 1/24; a few lines
    # at the rim are counted whole.
    assert_allclose(weights, counted, atol=0.02)
    assert_allclose(weights.sum(), counted.sum(), rtol=2e-3)
    assert (weights[counted == 1] > 1 - 5e-3).all()


def test_a_sphere_smaller_than_a_voxel_keeps_its_volume():
    for diameter in (1e-3, 0.1, 0.9):
        weights = shapes.sphere_weights((9, 9, 9), UPRIGHT, np.array([4.5, 4.2, 4.0]), diameter)
        assert_allclose(weights.sum(), ball(diameter), rtol=2e-3)


def test_a_sphere_beyond_the_lattice_is_cut_off():
    half = shapes.sphere_weights((9, 9, 9), UPRIGHT, np.array([-0.5, 4.0, 4.0]), 6.0)
    assert_allclose(half.sum(), ball(6.0) / 2, rtol=1e-3)
    assert shapes.sphere_weights((9, 9, 9), UPRIGHT, np.array([-90.0, 4, 4]), 6.0).sum() == 0


@pytest.mark.parametrize("diameter", [0.0, -1.0, np.nan, np.inf])
def test_a_sphere_without_a_size_is_refused(diameter: float):
    with pytest.raises(InputError, match="diameter"):
        shapes.sphere_weights((9, 9, 9), UPRIGHT, np.zeros(3), diameter)


@pytest.mark.parametrize("swap", [False, True])
def test_a_box_is_the_product_of_its_overlaps(swap: bool):
    corners = [np.array([2.0, 2.5, 2.0]), np.array([8.0, 5.5, 6.0])]
    weights = shapes.box_weights((6, 5, 4), UNEVEN, *(corners[::-1] if swap else corners))
    along_i = [0, 0.5, 1, 1, 0.5, 0]
    along_j = [0, 0.25, 1, 0.25, 0]
    along_k = [0, 1, 0, 0]
    assert_allclose(weights, np.einsum("i,j,k", along_i, along_j, along_k), atol=1e-12)


@pytest.mark.parametrize("affine", LATTICES.values(), ids=LATTICES.keys())
def test_a_box_between_places_in_the_lattice_has_its_volume(affine: np.ndarray):
    ends = np.array([[1.3, 2.2, 0.6], [6.1, 5.9, 4.4]])
    weights = shapes.box_weights((9, 8, 7), affine, *(ends @ affine[:3, :3].T + affine[:3, 3]))
    assert_allclose(weights.sum(), np.prod(ends[1] - ends[0]), rtol=1e-12)


def test_a_box_without_a_volume_is_refused():
    with pytest.raises(InputError, match="opposite corners"):
        shapes.box_weights((6, 5, 4), UNEVEN, np.zeros(3), np.array([1.0, 0, 1]))


def test_the_centre_of_a_blurred_sphere_is_found_to_a_tenth_of_a_voxel():
    from scipy.ndimage import gaussian_filter

    shape, true = (40, 40, 24), np.array([39.4, 41.1, 46.7])
    for diameter in (10.0, 22.0, 37.0):
        values = gaussian_filter(
            shapes.sphere_weights(shape, UNEVEN, true, diameter), [1.2, 1.2, 0.6]
        )
        start = time.process_time()
        found = shapes.refine_centre(
            values, UNEVEN, true + np.array([2.1, -1.9, 1.4]), diameter, 4.0
        )
        assert time.process_time() - start < 2
        # Without noise the mean is highest where the sphere is; the last step of the search is at
        # most diameter / 50, and voxels of 4 mm flatten the maximum along k.
        assert_allclose(found, true, atol=0.4)


def test_the_centre_stays_within_reach_and_where_nothing_is_gained():
    values = np.zeros((30, 30, 30))
    values[20:24, 15, 15] = 1.0
    centre = np.array([15.0, 15.0, 15.0])
    found = shapes.refine_centre(values, UPRIGHT, centre, 6.0, 3.0)
    assert 2.0 < np.linalg.norm(found - centre) <= 3.0
    assert_allclose(shapes.refine_centre(values, UPRIGHT, centre, 4.0, 1.0), centre)
    assert_allclose(shapes.refine_centre(values, UPRIGHT, centre, 6.0, 0.0), centre)


def test_the_centre_does_not_leave_the_image_or_walk_into_missing_values():
    values = np.indices((20, 20, 20))[0].astype(float)
    values[16:] = np.nan
    found = shapes.refine_centre(values, UPRIGHT, np.array([10.0, 10, 10]), 6.0, 8.0)
    # The last value's far side is at 15.5; the search lets 1 % of the sphere go (it knows shares
    # to 0.3 %), a cap of 0.41 of this sphere of radius 3.
    assert 11.5 < found[0] <= 12.5 + 0.41
    with pytest.raises(InputError, match="no value"):
        shapes.refine_centre(values, UPRIGHT, np.array([-30.0, 10, 10]), 6.0, 8.0)


def test_above_keeps_the_weights_of_voxels_at_or_above():
    values = np.array([0.9, 1.0, 5.0, np.nan, -1.0])
    within = np.array([1.0, 0.5, 0.25, 1.0, 1.0])
    assert_allclose(shapes.above(values, 1.0, within), [0, 0.5, 0.25, 0, 0])


def test_a_component_is_joined_through_faces_only():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[0, 0, 1] = mask[1, 1, 1] = mask[1, 1, 2] = True
    found = shapes.connected_component(mask, (0, 0, 0))
    assert sorted(map(tuple, np.argwhere(found))) == [(0, 0, 0), (0, 0, 1)]
    assert not shapes.connected_component(mask, (3, 3, 3)).any()
    for outside in ((4, 0, 0), (-1, 0, 0)):
        with pytest.raises(InputError, match="seed"):
            shapes.connected_component(mask, outside)


@pytest.mark.parametrize("affine", [UPRIGHT, UNEVEN, tilted().affine])
@pytest.mark.parametrize(("inner", "outer"), [(0, 10), (2, 9), (5, 12), (-8, -2), (-9, 0), (-4, 5)])
def test_a_shell_about_a_sphere_has_its_volume(affine: np.ndarray, inner: float, outer: float):
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    shape = tuple(int(n) for n in np.ceil(72 / spacing))
    weights = shapes.sphere_weights(shape, affine, middle(affine, shape, (0.3, 0.1, -0.2)), 40.0)
    found = shapes.shell(weights, affine, inner, outer)
    volume = found.sum() * abs(np.linalg.det(affine[:3, :3]))
    expected = ball(40.0 + 2 * outer) - ball(40.0 + 2 * inner)
    # Distances are to points of the border that lie up to a voxel apart: each face of a shell is
    # off by up to 4 % of a voxel's longest step, as the documentation of `shell` says.
    faces = np.pi * ((40 + 2 * inner) ** 2 + (40 + 2 * outer) ** 2)
    tolerance = 0.04 * spacing.max() * faces
    assert_allclose(volume, expected, atol=tolerance)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-12


def test_a_shell_outside_leaves_the_region_to_itself_and_one_inside_keeps_within():
    weights = shapes.sphere_weights((40, 40, 20), UNEVEN, np.array([39.0, 39, 38]), 30.0)
    assert (weights + shapes.shell(weights, UNEVEN, 0, 8) <= 1 + 1e-12).all()
    assert (shapes.shell(weights, UNEVEN, -6, 0) <= weights + 1e-12).all()
    rim, core = shapes.shell(weights, UNEVEN, -6, 0), shapes.shell(weights, UNEVEN, -1e3, -6)
    assert_allclose(rim + core, weights, atol=1e-12)


def test_a_shell_of_nothing_is_nothing_and_a_wrong_order_is_refused():
    assert shapes.shell(np.zeros((5, 5, 5)), UPRIGHT, 0, 3).sum() == 0
    with pytest.raises(InputError, match="inner below outer"):
        shapes.shell(np.ones((5, 5, 5)), UPRIGHT, 3, 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_volumes_of_unions_and_differences_add_up(seed: int):
    first, second = np.random.default_rng(seed).uniform(0, 1, (2, 50))
    union = shapes.union(first, second)
    only, shared = shapes.difference(first, second), shapes.intersection(first, second)
    other = shapes.difference(second, first)
    assert_allclose(only + second, union)
    assert_allclose(only + shared + other, union)
    assert_allclose(shapes.union(first, first), first)
    assert shapes.difference(first, first).max() == 0


def test_on_whole_voxels_the_algebra_is_that_of_sets():
    first, second = np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 0, 1])
    assert shapes.union(first, second).tolist() == [0, 1, 1, 1]
    assert shapes.intersection(first, second).tolist() == [0, 0, 0, 1]
    assert shapes.difference(first, second).tolist() == [0, 0, 1, 0]
