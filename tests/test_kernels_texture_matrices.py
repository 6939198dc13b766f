"""Texture matrices against searches over every voxel, written without cleverness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from igdd.kernels.texture_matrices import (
    cooccurrences,
    depths,
    directions,
    neighbours,
    runs,
    surroundings,
    zones,
)


@pytest.fixture(params=range(4))
def levels(request):
    rng = np.random.default_rng(request.param)
    made = rng.integers(1, 4, (7, 6, 5))
    made[rng.random(made.shape) < 0.25] = 0
    return made


def test_thirteen_directions_and_their_opposites_are_all_neighbours():
    for dimensions, count in ((3, 26), (2, 8)):
        half = directions(dimensions)
        both = {tuple(step) for step in np.vstack([half, -half])}
        assert both == {tuple(step) for step in neighbours(dimensions)}
        assert len(both) == count


@pytest.mark.parametrize("step", directions(3))
def test_pairs_are_those_one_step_apart(levels, step):
    counts = np.zeros((3, 3), np.int64)
    cooccurrences(levels, step, 0, levels.shape[2], counts)
    wanted = np.zeros((3, 3), np.int64)
    for place in np.argwhere(levels):
        there = place + step
        if (there < 0).any() or (there >= levels.shape).any() or not levels[tuple(there)]:
            continue
        wanted[levels[tuple(place)] - 1, levels[tuple(there)] - 1] += 1
    np.testing.assert_array_equal(counts, wanted)


def test_slices_count_only_their_own_pairs(levels):
    step = np.array([1, -1, 0])
    whole = np.zeros((3, 3), np.int64)
    cooccurrences(levels, step, 0, 5, whole)
    parts = np.zeros((3, 3), np.int64)
    for k in range(5):
        cooccurrences(levels, step, k, k + 1, parts)
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("step", directions(3))
def test_runs_cover_every_voxel_once_and_cannot_grow(levels, step):
    length, start = runs(levels, step)
    covered = np.zeros(levels.shape, int)
    for size, first in zip(length, start, strict=True):
        place = np.array(np.unravel_index(first, levels.shape))
        level = levels[tuple(place)]
        for _ in range(size):
            assert levels[tuple(place)] == level
            covered[tuple(place)] += 1
            place = place + step
        outside = (place < 0).any() or (place >= levels.shape).any()
        assert outside or levels[tuple(place)] != level
    np.testing.assert_array_equal(covered, levels > 0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_zones_are_the_connected_components_of_each_level(levels, dimensions):
    structure = np.ones((3, 3, 3), int)
    if dimensions == 2:
        structure[:, :, [0, 2]] = 0
    depth = np.random.default_rng(9).integers(1, 9, levels.shape)
    size, near, start = zones(levels, neighbours(dimensions), depth)
    found = sorted(zip(levels.ravel()[start], size, near, strict=True))
    wanted = []
    for level in (1, 2, 3):
        labels, count = ndimage.label(levels == level, structure)
        sizes = np.bincount(labels.ravel())[1:]
        least = ndimage.minimum(depth, labels, np.arange(1, count + 1))
        wanted += zip([level] * count, sizes, least, strict=True)
    assert found == sorted(wanted)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_depth_is_the_city_block_distance_to_the_outside(dimensions):
    region = np.random.default_rng(4).random((12, 11, 9)) < 0.93
    found = depths(region, dimensions)
    if dimensions == 3:
        padded = np.pad(region, 1)
        wanted = ndimage.distance_transform_cdt(padded, "taxicab")[1:-1, 1:-1, 1:-1]
    else:
        wanted = np.stack([
            ndimage.distance_transform_cdt(np.pad(region[:, :, k], 1), "taxicab")[1:-1, 1:-1]
            for k in range(region.shape[2])
        ], axis=2)  # fmt: skip
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_surroundings_are_those_of_the_neighbours(levels, dimensions):
    alike, apart, place = surroundings(levels, neighbours(dimensions))
    assert place.size == (levels > 0).sum()
    padded = np.pad(levels, 1)
    for n, flat in enumerate(place):
        i, j, k = np.unravel_index(flat, levels.shape)
        box = padded[i : i + 3, j : j + 3, k : k + 3].copy()
        if dimensions == 2:
            box[:, :, [0, 2]] = 0
        own, box[1, 1, 1] = box[1, 1, 1], 0
        others = box[box > 0]
        assert alike[n] == (others == own).sum()
        wanted = abs(own - others.mean()) if others.size else -1
        assert apart[n] == pytest.approx(wanted, abs=1e-12)
