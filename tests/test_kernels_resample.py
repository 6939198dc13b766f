"""Overlap of voxel lattices: exact where axes are parallel, volume-conserving everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from igdd.kernels import resample

ULP = 1e-9  # rounding of a few thousand sums of products of order 1


def row(mask: np.ndarray) -> sparse.csr_matrix:
    return sparse.csr_matrix(mask.reshape(1, -1).astype(float))


def scaled(scale: tuple[float, float, float], offset: tuple[float, float, float]) -> np.ndarray:
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = offset
    return affine


def turned(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    angle = np.radians(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, 3] = shift
    return affine


def ball(shape: tuple[int, int, int], radius: float) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    return (sum(axis**2 for axis in axes) <= radius**2).astype(float)


def test_voxels_twice_as_large_hold_the_mean_of_the_eight_they_cover() -> None:
    mask = np.random.default_rng(1).random((4, 6, 8))
    moved, share = resample.overlap(
        row(mask), mask.shape, (2, 3, 4), scaled((0.5, 0.5, 0.5), (-0.25, -0.25, -0.25))
    )
    mean = mask.reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5))
    assert_allclose(moved.toarray().reshape(2, 3, 4), mean, atol=ULP)
    assert_allclose(share, 1.0, atol=ULP)


def test_a_shift_by_a_quarter_voxel_splits_three_to_one() -> None:
    mask = np.zeros((3, 1, 1))
    mask[1] = 1.0
    moved, _ = resample.overlap(row(mask), (3, 1, 1), (3, 1, 1), scaled((1, 1, 1), (0.25, 0, 0)))
    assert_allclose(moved.toarray().ravel(), [0.0, 0.75, 0.25], atol=ULP)


def test_half_a_region_beyond_the_edge_is_reported() -> None:
    mask = np.ones((4, 2, 2))
    moved, share = resample.overlap(row(mask), (4, 2, 2), (4, 2, 2), scaled((1, 1, 1), (2, 0, 0)))
    assert_allclose(share, 0.5, atol=ULP)
    assert_allclose(moved.sum(), 8.0, atol=ULP)


def test_an_empty_region_stays_empty_and_loses_nothing() -> None:
    for transform in (scaled((0.7, 0.7, 0.7), (0, 0, 0)), turned(20, (0, 0, 0))):
        moved, share = resample.overlap(row(np.zeros((3, 3, 3))), (3, 3, 3), (5, 5, 5), transform)
        assert moved.nnz == 0
        assert share.tolist() == [1.0]


def test_no_regions_in_no_regions_out() -> None:
    moved, share = resample.overlap(
        sparse.csr_matrix((0, 27)), (3, 3, 3), (2, 2, 2), scaled((0.7, 0.7, 0.7), (0, 0, 0))
    )
    assert moved.shape == (0, 8)
    assert share.shape == (0,)


@settings(max_examples=60, deadline=None)
@given(
    scale=st.tuples(*[st.floats(0.3, 2.5)] * 3),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    order=st.permutations([0, 1, 2]),
    where=st.tuples(*[st.floats(0.0, 1.0)] * 3),
    seed=st.integers(0, 2**31),
)
def test_volume_is_conserved_between_parallel_lattices(
    scale: tuple[float, ...],
    signs: tuple[int, ...],
    order: list[int],
    where: tuple[float, ...],
    seed: int,
) -> None:
    shape = (5, 4, 6)
    mask = np.random.default_rng(seed).random((2, *shape))
    mask[mask < 0.5] = 0.0
    transform = np.eye(4)
    transform[:3, :3] = 0.0
    target = [0, 0, 0]
    for axis in range(3):
        goes, size = order[axis], scale[axis] * shape[axis]
        transform[goes, axis] = signs[axis] * scale[axis]
        target[goes] = int(np.ceil(size)) + 2
        start = -0.5 + where[axis]  # low edge of the whole lattice, inside the target
        first = start + scale[axis] / 2
        transform[goes, 3] = first if signs[axis] > 0 else first + scale[axis] * (shape[axis] - 1)
    weights = sparse.csr_matrix(mask.reshape(2, -1))
    moved, share = resample.overlap(weights, shape, (target[0], target[1], target[2]), transform)
    before = mask.sum(axis=(1, 2, 3)) * np.prod(scale)
    assert_allclose(np.asarray(moved.sum(axis=1)).ravel(), before, rtol=ULP)
    assert_allclose(share, 1.0, rtol=ULP)
    assert moved.nnz == 0 or (moved.data.min() >= 0 and moved.data.max() <= 1)


def test_the_parallel_overlap_equals_the_product_of_intervals_voxel_by_voxel() -> None:
    shape, target, scale, offset = (3, 2, 4), (4, 3, 4), (1.3, 0.8, -0.9), (0.2, 0.1, 3.1)
    mask = np.random.default_rng(5).random(shape)
    moved, _ = resample.overlap(row(mask), shape, target, scaled(scale, offset))
    truth = np.zeros(target)
    for source in np.ndindex(shape):
        for cell in np.ndindex(target):
            volume = 1.0
            for axis in range(3):
                ends = sorted(
                    scale[axis] * (source[axis] + half) + offset[axis] for half in (-0.5, 0.5)
                )
                length = min(ends[1], cell[axis] + 0.5) - max(ends[0], cell[axis] - 0.5)
                volume *= max(length, 0.0)
            truth[cell] += mask[source] * volume
    assert_allclose(moved.toarray().reshape(target), truth, atol=ULP)


@pytest.mark.parametrize("degrees", [3.0, 20.0, 45.0])
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3])
def test_a_rotated_ball_keeps_its_volume_its_centre_and_its_core(
    degrees: float, scale: float
) -> None:
    shape, target = (21, 21, 21), (60, 60, 60)
    mask = ball(shape, 8.0)
    transform = turned(degrees, (0, 0, 0)) @ scaled((scale,) * 3, (0, 0, 0))
    middle = np.full(3, 10.0)
    transform[:3, 3] = 29.3 - transform[:3, :3] @ middle
    moved, share = resample.overlap(row(mask), shape, target, transform)
    weights = moved.toarray().reshape(target)
    assert share.tolist() == [1.0]
    # The adjustment of partial weights makes the sum exact but for single precision of the box.
    assert_allclose(weights.sum(), mask.sum() * scale**3, rtol=1e-6)
    assert weights.min() >= 0
    assert weights.max() <= 1
    places = np.argwhere(weights > 0)
    centre = (places * weights[weights > 0][:, None]).sum(axis=0) / weights.sum()
    # A ball is symmetric: its centre may move by the sampling error of its shell only,
    # (shell voxels)^(1/2) * 0.3 / 3 sample spacing / volume < 0.02 voxel.
    assert_allclose(centre, 29.3, atol=0.02)
    core = np.argwhere(weights > -1)
    deep = np.linalg.norm(core - 29.3, axis=1) < (8.0 - 1.8) * scale - 0.9
    assert_allclose(weights.ravel()[deep], 1.0)


def test_a_rotated_region_half_outside_is_reported() -> None:
    mask = ball((21, 21, 21), 8.0)
    transform = turned(30.0, (0, 0, 0))
    transform[:3, 3] = np.array([-0.5, 20.0, 10.0]) - transform[:3, :3] @ np.full(3, 10.0)
    moved, share = resample.overlap(row(mask), mask.shape, (40, 40, 21), transform)
    # By symmetry half of the ball lies at i < -1/2; 27 points in each of 2,109 voxels.
    assert_allclose(share, 0.5, atol=0.005)
    assert_allclose(moved.sum(), share[0] * mask.sum(), rtol=1e-6)


def test_re_indexing_undoes_permutation_flip_and_cropping() -> None:
    mask = np.random.default_rng(3).random((3, 4, 5))
    transform = np.zeros((4, 4))
    transform[3, 3] = 1
    transform[1, 0], transform[1, 3] = -1, 2  # i -> j reversed
    transform[2, 1], transform[2, 3] = 1, 0.004  # j -> k, off by less than 0.01 voxel
    transform[0, 2], transform[0, 3] = 1, -1  # k -> i, first plane lies outside
    found = resample.reindex(row(mask), (3, 4, 5), (4, 3, 4), transform)
    assert found is not None
    moved, share = found
    expected = mask[::-1, :, 1:].transpose(2, 0, 1)
    assert_allclose(moved.toarray().reshape(4, 3, 4), expected, rtol=0, atol=0)
    assert_allclose(share, expected.sum() / mask.sum())


@pytest.mark.parametrize(
    "transform",
    [
        scaled((1, 1, 1), (0.02, 0, 0)),
        scaled((1.01, 1, 1), (0, 0, 0)),
        turned(1.0, (0, 0, 0)),
    ],
)
def test_another_lattice_is_not_re_indexed(transform: np.ndarray) -> None:
    assert resample.reindex(row(np.ones((8, 8, 8))), (8, 8, 8), (8, 8, 8), transform) is None


@given(
    weights=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    change=st.floats(-5, 5),
)
def test_conserving_the_volume_never_leaves_the_unit_interval(
    weights: list[float], change: float
) -> None:
    before = np.array(weights)
    after = resample.conserve(before, before.sum() + change)
    assert after.min() >= -ULP
    assert after.max() <= 1 + ULP
    whole = (before == 0) | (before == 1)
    assert_allclose(after[whole], before[whole])


@pytest.mark.parametrize("counts", [(3, 3, 3), (4, 3, 3), (5, 5, 3), (7, 7, 7)])
def test_sample_points_are_evenly_spread_along_every_axis(counts: tuple[int, int, int]) -> None:
    points = resample.sample_points(counts)
    total = int(np.prod(counts))
    even = (np.arange(total) + 0.5) / total - 0.5
    for axis in range(3):
        assert_allclose(np.sort(points[:, axis]), even)
    # Each of the 8 octants holds its share to within a point in five of what chance would give.
    octants = np.bincount((points >= 0) @ [4, 2, 1], minlength=8) / total
    assert_allclose(octants, 1 / 8, atol=1.5 / np.sqrt(8 * total))
