"""Texture: what stands next to what among the grey levels of a region.

IBSI reference manual (arXiv:1612.07003), sections 3.6 to 3.11. Levels are an array (i, j, k) of
whole numbers, 0 outside the region. Steps and neighbours are rows of offsets (n, 3); slices lie
along k, so that offsets without a step in k make the 2D matrices of all slices at once.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from igdd.kernels.compiled import njit


def neighbours(dimensions: int) -> np.ndarray:
    """Offsets (n, 3) at Chebyshev distance 1: 26 in 3 dimensions, 8 in the slice."""
    depth = (-1, 0, 1) if dimensions == 3 else (0,)
    every = [step for step in product((-1, 0, 1), (-1, 0, 1), depth) if any(step)]
    return np.array(every, dtype=np.int64)


def directions(dimensions: int) -> np.ndarray:
    """One of each pair of opposite offsets (n, 3): 13 in 3 dimensions, 4 in the slice."""
    every = neighbours(dimensions)
    return every[every.shape[0] // 2 :]


@njit(cache=True, nogil=True)
def cooccurrences(
    ranks: np.ndarray, step: np.ndarray, first: int, last: int, counts: np.ndarray
) -> None:
    """Add to counts (level, level) each pair of voxels one step apart, from slices first to last.

    ranks  (i, j, k) 0 outside, else 1 + the level's place in the matrix
    """
    rows, columns, slices = ranks.shape
    for i in range(max(0, -step[0]), min(rows, rows - step[0])):
        for j in range(max(0, -step[1]), min(columns, columns - step[1])):
            for k in range(max(first, -step[2]), min(last, slices - step[2])):
                here = ranks[i, j, k]
                there = ranks[i + step[0], j + step[1], k + step[2]]
                if here > 0 and there > 0:
                    counts[here - 1, there - 1] += 1


@njit(cache=True, nogil=True)
def runs(levels: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every run of equal levels along a step: its length, and the flat index of its first voxel."""
    rows, columns, slices = levels.shape
    voxels = 0
    for level in levels.flat:
        voxels += level > 0
    length = np.empty(voxels, np.int64)
    start = np.empty(voxels, np.int64)
    found = 0
    di, dj, dk = step[0], step[1], step[2]
    for i in range(rows):
        for j in range(columns):
            for k in range(slices):
                level = levels[i, j, k]
                if level == 0:
                    continue
                a, b, c = i - di, j - dj, k - dk
                within = 0 <= a < rows and 0 <= b < columns and 0 <= c < slices
                if within and levels[a, b, c] == level:
                    continue
                count = 1
                a, b, c = i + di, j + dj, k + dk
                while (
                    0 <= a < rows
                    and 0 <= b < columns
                    and 0 <= c < slices
                    and levels[a, b, c] == level
                ):
                    count += 1
                    a, b, c = a + di, b + dj, c + dk
                length[found] = count
                start[found] = (i * columns + j) * slices + k
                found += 1
    return length[:found], start[:found]


@njit(cache=True, nogil=True)
def zones(
    levels: np.ndarray, offsets: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connected zones of equal level.

    depth  (i, j, k) distance of each voxel to the region's border

    Returns each zone's size in voxels, its least depth, and the flat index of its first voxel.
    """
    rows, columns, slices = levels.shape
    left = levels.copy()
    total = 0
    for level in levels.flat:
        total += level > 0
    size = np.empty(total, np.int64)
    near = np.empty(total, np.int64)
    start = np.empty(total, np.int64)
    waiting = np.empty((total, 3), np.int64)
    found = 0
    for i in range(rows):
        for j in range(columns):
            for k in range(slices):
                level = left[i, j, k]
                if level == 0:
                    continue
                left[i, j, k] = 0
                waiting[0, 0], waiting[0, 1], waiting[0, 2] = i, j, k
                length = 1
                count = 0
                least = depth[i, j, k]
                while length > 0:
                    length -= 1
                    a, b, c = waiting[length, 0], waiting[length, 1], waiting[length, 2]
                    count += 1
                    least = min(least, depth[a, b, c])
                    for n in range(offsets.shape[0]):
                        p, q, r = a + offsets[n, 0], b + offsets[n, 1], c + offsets[n, 2]
                        within = 0 <= p < rows and 0 <= q < columns and 0 <= r < slices
                        if within and left[p, q, r] == level:
                            left[p, q, r] = 0
                            waiting[length, 0], waiting[length, 1] = p, q
                            waiting[length, 2] = r
                            length += 1
                size[found] = count
                near[found] = least
                start[found] = (i * columns + j) * slices + k
                found += 1
    return size[:found], near[:found], start[:found]


@njit(cache=True, nogil=True)
def depths(region: np.ndarray, dimensions: int) -> np.ndarray:
    """City-block distance (i, j, k) in voxels to the nearest voxel outside; 1 at the border.

    In 2 dimensions each slice is on its own. Outside the image is outside the region.
    """
    rows, columns, slices = region.shape
    far = np.int64(rows + columns + slices)
    depth = np.zeros(region.shape, np.int64)
    for i in range(rows):
        for j in range(columns):
            for k in range(slices):
                if region[i, j, k]:
                    least = min(
                        depth[i - 1, j, k] if i > 0 else 0, depth[i, j - 1, k] if j > 0 else 0
                    )
                    if dimensions == 3:
                        least = min(least, depth[i, j, k - 1] if k > 0 else 0)
                    depth[i, j, k] = min(least, far) + 1
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            for k in range(slices - 1, -1, -1):
                if region[i, j, k]:
                    least = min(
                        depth[i + 1, j, k] if i < rows - 1 else 0,
                        depth[i, j + 1, k] if j < columns - 1 else 0,
                    )
                    if dimensions == 3:
                        least = min(least, depth[i, j, k + 1] if k < slices - 1 else 0)
                    depth[i, j, k] = min(depth[i, j, k], least + 1)
    return depth


@njit(cache=True, nogil=True)
def surroundings(
    levels: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each voxel: neighbours of its own level, its difference to their mean, its flat index.

    The difference is -1 for a voxel without a neighbour in the region.
    """
    rows, columns, slices = levels.shape
    total = 0
    for level in levels.flat:
        total += level > 0
    alike = np.empty(total, np.int64)
    apart = np.empty(total, np.float64)
    place = np.empty(total, np.int64)
    found = 0
    for i in range(rows):
        for j in range(columns):
            for k in range(slices):
                level = levels[i, j, k]
                if level == 0:
                    continue
                count = 0
                same = 0
                around = 0
                for n in range(offsets.shape[0]):
                    p, q, r = i + offsets[n, 0], j + offsets[n, 1], k + offsets[n, 2]
                    if 0 <= p < rows and 0 <= q < columns and 0 <= r < slices:
                        other = levels[p, q, r]
                        count += other > 0
                        same += other == level
                        around += other
                alike[found] = same
                apart[found] = abs(level - around / count) if count > 0 else -1.0
                place[found] = (i * columns + j) * slices + k
                found += 1
    return alike, apart, place
