"""Bringing regions from one voxel lattice to another by volume overlap.

A region is a row of weights, the share of each voxel that belongs to it. Its weight in a target
voxel is the share of that voxel's volume that the region covers, so its volume is conserved.
Voxels are boxes around their centres: index n spans n - 1/2 to n + 1/2.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np
from scipy import sparse

# A lattice that strays less than this over its whole extent counts as the same one (DESIGN.md, 3).
TOLERANCE = 0.01
# Sample points per axis of a target voxel where the lattices are rotated against each other; more
# where source voxels are smaller than a third of the target's, so that none is stepped over.
POINTS = 3
# Target voxels that are sampled at a time: bounds the memory of the rotated case.
CHUNK = 1 << 19

Shape = tuple[int, int, int]


def axes_of(source_to_target: np.ndarray, source_shape: Shape) -> tuple[int, int, int] | None:
    """Target axis that each source axis runs along, or None where the lattices are rotated.

    Off-axis terms may move no voxel by more than `TOLERANCE` target voxels from its place relative
    to the lattice's centre.

    >>> axes_of(np.diag([2.0, -1.0, 1.0, 1.0]), (4, 4, 4))
    (0, 1, 2)
    """
    linear = source_to_target[:3, :3]
    axes = np.argmax(np.abs(linear), axis=0)
    if sorted(axes.tolist()) != [0, 1, 2]:
        return None
    stray = np.abs(linear).copy()
    stray[axes, np.arange(3)] = 0.0
    if (stray @ (np.array(source_shape) / 2)).max() > TOLERANCE:
        return None
    return int(axes[0]), int(axes[1]), int(axes[2])


def shift_of(
    source_to_target: np.ndarray, source_shape: Shape
) -> tuple[tuple[int, int, int], np.ndarray, np.ndarray] | None:
    """Axes, signs and whole-voxel shifts if the two lattices are one and the same, else None.

    Source voxel n along its axis a is target voxel signs[a] * n + shifts[a] along axes[a].
    """
    axes = axes_of(source_to_target, source_shape)
    if axes is None:
        return None
    scale, offset = _lines(source_to_target, source_shape, axes)
    signs = np.sign(scale).astype(np.int64)
    shifts = np.rint(offset).astype(np.int64)
    last = np.array(source_shape) - 1
    stray = np.maximum(np.abs(offset - shifts), np.abs((scale - signs) * last + offset - shifts))
    if stray.max() > TOLERANCE:
        return None
    return axes, signs, shifts


def reindex(
    weights: sparse.csr_matrix,
    source_shape: Shape,
    target_shape: Shape,
    source_to_target: np.ndarray,
) -> tuple[sparse.csr_matrix, np.ndarray] | None:
    """Regions on the same lattice under other axes, flips or field of view; None if it is another.

    Exact: no weight changes. Answers as `overlap` does.
    """
    found = shift_of(source_to_target, source_shape)
    if found is None:
        return None
    axes, signs, shifts = found
    entries = weights.tocoo()
    there = [np.empty(0, np.int64)] * 3
    inside = np.ones(entries.nnz, bool)
    for axis, index in enumerate(np.unravel_index(entries.col, source_shape)):
        moved = signs[axis] * index.astype(np.int64) + shifts[axis]
        inside &= (moved >= 0) & (moved < target_shape[axes[axis]])
        there[axes[axis]] = moved
    columns = np.ravel_multi_index(tuple(index[inside] for index in there), target_shape)
    shape = (weights.shape[0], int(np.prod(target_shape)))
    kept = sparse.csr_matrix((entries.data[inside], (entries.row[inside], columns)), shape=shape)
    return kept, _share(kept, weights, 1.0)


def overlap(
    weights: sparse.csr_matrix,
    source_shape: Shape,
    target_shape: Shape,
    source_to_target: np.ndarray,
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Weights (region, target voxel), and the share of each region's volume inside the target.

    source_to_target (4, 4) takes source voxel indices to target voxel indices. Where the axes are
    parallel (in any order and direction) the overlap is exact: the product of three overlaps of
    intervals. Where they are rotated, every target voxel is sampled at `POINTS` or more points per
    axis, and the partial weights of each region are then adjusted so that its volume is conserved.

    An empty region has share 1: nothing of it is outside.
    """
    if not weights.shape[0]:
        return sparse.csr_matrix((0, int(np.prod(target_shape)))), np.ones(0)
    axes = axes_of(source_to_target, source_shape)
    if axes is None:
        return _rotated(weights, source_shape, target_shape, source_to_target)
    matrices = [
        interval_overlap(source_shape[axis], target_shape[axes[axis]], float(scale), float(offset))
        for axis, (scale, offset) in enumerate(
            zip(*_lines(source_to_target, source_shape, axes), strict=True)
        )
    ]
    rows = [
        _aligned(weights[row], source_shape, target_shape, (axes, matrices))
        for row in range(weights.shape[0])
    ]
    moved = sparse.csr_matrix(sparse.vstack(rows, format="csr"))
    scale = abs(float(np.linalg.det(source_to_target[:3, :3])))
    return moved, _share(moved, weights, scale)


def interval_overlap(count: int, target: int, scale: float, offset: float) -> sparse.csr_matrix:
    """Length that source interval n covers of target interval m, as a matrix (count, target).

    Source interval n spans scale * (n -+ 1/2) + offset in target indices.

    >>> interval_overlap(2, 4, 2.0, 0.5).toarray()
    array([[1., 1., 0., 0.],
           [0., 0., 1., 1.]])
    """
    edges = scale * (np.arange(count)[:, None] + np.array([-0.5, 0.5])) + offset
    low, high = np.sort(edges, axis=1).T
    first = np.floor(low + 0.5).astype(np.int64)
    width = int(np.ceil(abs(scale))) + 1
    cells = first[:, None] + np.arange(width)
    length = np.minimum(high[:, None], cells + 0.5) - np.maximum(low[:, None], cells - 0.5)
    keep = (length > 0) & (cells >= 0) & (cells < target)
    rows = np.broadcast_to(np.arange(count)[:, None], cells.shape)
    # Rounding may make a covered interval longer than 1 by an ulp of the offset; it is 1.
    covered = np.minimum(length[keep], 1.0)
    return sparse.csr_matrix((covered, (rows[keep], cells[keep])), shape=(count, target))


def _lines(
    source_to_target: np.ndarray, source_shape: Shape, axes: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of each source axis along its target axis, exact at the lattice's centre."""
    linear, origin = source_to_target[:3, :3], source_to_target[:3, 3]
    centre = (np.array(source_shape) - 1) / 2
    scale = linear[list(axes), np.arange(3)]
    return scale, (linear @ centre + origin)[list(axes)] - scale * centre


def _share(moved: sparse.csr_matrix, weights: sparse.csr_matrix, scale: float) -> np.ndarray:
    """Share of each region's volume that arrived; `scale` is target voxels per source voxel."""
    before = np.asarray(weights.sum(axis=1)).ravel() * scale
    after = np.asarray(moved.sum(axis=1)).ravel()
    return np.asarray(np.divide(after, before, out=np.ones(before.size), where=before > 0))


def _aligned(
    row: sparse.csr_matrix,
    source_shape: Shape,
    target_shape: Shape,
    along: tuple[tuple[int, int, int], list[sparse.csr_matrix]],
) -> sparse.csr_matrix:
    """One region through three interval overlaps, one axis at a time (sparse throughout)."""
    axes, matrices = along
    size = int(np.prod(target_shape))
    values = row.data.astype(float)
    index = [part.astype(np.int64) for part in np.unravel_index(row.indices, source_shape)]
    for axis in range(3):
        if not values.size:
            return sparse.csr_matrix((1, size))
        others = [other for other in range(3) if other != axis]
        low = [int(index[other].min()) for other in others]
        extent = [
            int(index[other].max()) - start + 1 for other, start in zip(others, low, strict=True)
        ]
        line = (index[others[0]] - low[0]) * extent[1] + (index[others[1]] - low[1])
        lines = sparse.csr_matrix(
            (values, (line, index[axis])), shape=(extent[0] * extent[1], matrices[axis].shape[0])
        )
        moved = (lines @ matrices[axis]).tocoo()
        values = moved.data
        line = moved.row.astype(np.int64)
        index[axis] = moved.col.astype(np.int64)
        index[others[0]] = line // extent[1] + low[0]
        index[others[1]] = line % extent[1] + low[1]
    there = [np.empty(0, np.int64)] * 3
    for axis in range(3):
        there[axes[axis]] = index[axis]
    columns = np.ravel_multi_index(tuple(there), target_shape)
    return sparse.csr_matrix(
        (np.minimum(values, 1.0), (np.zeros(columns.size, np.int64), columns)), shape=(1, size)
    )


def _rotated(
    weights: sparse.csr_matrix,
    source_shape: Shape,
    target_shape: Shape,
    source_to_target: np.ndarray,
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """`overlap` where the lattices are rotated against each other."""
    scale = abs(float(np.linalg.det(source_to_target[:3, :3])))
    rows, shares = [], []
    for row in range(weights.shape[0]):
        region = weights[row]
        sampled = _sampled(region, source_shape, target_shape, source_to_target)
        share = _share_inside(region, source_shape, target_shape, source_to_target)
        sampled.data = conserve(sampled.data, float(region.sum()) * scale * share)
        rows.append(sampled)
        shares.append(share)
    return sparse.csr_matrix(sparse.vstack(rows, format="csr")), np.array(shares)


def conserve(weights: np.ndarray, total: float) -> np.ndarray:
    """Weights (voxel,) whose sum is `total`, moved where they are partial: w + a * w * (1 - w).

    Weights of 0 and 1 stay as they are and none leaves 0..1, because |a| is at most 1; where that
    is not enough (a region thinner than the sample points), the sum stays as near as that allows.

    >>> conserve(np.array([1.0, 0.5, 0.0]), 1.6).round(3)
    array([1. , 0.6, 0. ])
    """
    room = float(np.sum(weights * (1 - weights)))
    if room <= 0:
        return weights
    missing = total - float(weights.sum())
    amount = missing / room if abs(missing) < room else float(np.sign(missing))
    return np.asarray(weights + amount * weights * (1 - weights))


def _sampled(
    region: sparse.csr_matrix,
    source_shape: Shape,
    target_shape: Shape,
    source_to_target: np.ndarray,
) -> sparse.csr_matrix:
    """Mean of one region's weights over points spread evenly through every target voxel."""
    size = int(np.prod(target_shape))
    if not region.nnz:
        return sparse.csr_matrix((1, size))
    index = np.array(np.unravel_index(region.indices, source_shape))
    low, high = index.min(axis=1), index.max(axis=1)
    # One voxel of zeros around the region's box catches every point that misses it.
    box = np.zeros(high - low + 3, np.float32)
    box[tuple(index - low[:, None] + 1)] = region.data
    inverse = np.linalg.inv(source_to_target)
    reach = np.maximum(POINTS, np.ceil(np.abs(inverse[:3, :3]).max(axis=0))).astype(int)
    steps = inverse[:3, :3] @ sample_points((int(reach[0]), int(reach[1]), int(reach[2]))).T
    columns, values = [np.empty(0, np.int64)], [np.empty(0)]
    for cells in _cells(low, high, target_shape, source_to_target):
        # Places in the box, whose index 0 is source index low - 1, rounded by truncation.
        start = inverse[:3, :3] @ cells + (inverse[:3, 3] - low + 1.5)[:, None]
        total = _lookup(box, start, steps)
        hit = total > 0
        columns.append(np.ravel_multi_index(tuple(cells[:, hit]), target_shape))
        values.append(total[hit] / steps.shape[1])
    found = np.concatenate(columns)
    return sparse.csr_matrix(
        (np.concatenate(values), (np.zeros(found.size, np.int64), found)), shape=(1, size)
    )


def _lookup(box: np.ndarray, start: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Sum of the box's values at start (3, n) plus each of steps (3, m), truncated to indices."""
    total = np.zeros(start.shape[1])
    flat = box.ravel()
    place = np.empty(start.shape[1])
    for step in steps.T:
        index = np.zeros(start.shape[1], np.int64)
        for axis, extent in enumerate(box.shape):
            np.add(start[axis], step[axis], out=place)
            np.clip(place, 0, extent - 1, out=place)
            index *= extent
            index += place.astype(np.int64)
        total += flat[index]
    return total


@lru_cache(maxsize=16)
def sample_points(counts: tuple[int, int, int]) -> np.ndarray:
    """Points (n, 3) spread evenly through a unit voxel around 0; n is the product of `counts`.

    A rank-1 lattice (Korobov, 1959): m * (1, a, a^2) mod n. Each axis sees n levels, not just its
    own count, so that a lattice which is rotated about one axis is sampled finely along it too.
    The generator a is the one that keeps the points farthest apart.

    >>> sample_points((3, 1, 1)).round(3).tolist()
    [[-0.333, -0.333, -0.333], [0.0, 0.0, 0.0], [0.333, 0.333, 0.333]]
    """
    total = int(np.prod(counts))
    steps = np.arange(total)
    best, widest = np.zeros((total, 3), np.int64), -1.0
    for generator in [a for a in range(1, min(total, 128) + 1) if np.gcd(a, total) == 1]:
        levels = steps[:, None] * np.array([1, generator, generator**2 % total]) % total
        apart = np.minimum(levels[1:], total - levels[1:]) / total * np.array(counts)
        nearest = float(np.linalg.norm(apart, axis=1).min(initial=np.inf))
        if nearest > widest:
            best, widest = levels, nearest
    points = (best + 0.5) / total - 0.5
    points.flags.writeable = False  # the answer is kept and shared
    return points


def _cells(
    low: np.ndarray, high: np.ndarray, target_shape: Shape, source_to_target: np.ndarray
) -> Iterator[np.ndarray]:
    """Target voxels (3, n) that the box low..high of source voxels may touch, in chunks."""
    ends = np.stack([low - 0.5, high + 0.5])
    corners = np.array([ends[list(pick), range(3)] for pick in product((0, 1), repeat=3)])
    moved = corners @ source_to_target[:3, :3].T + source_to_target[:3, 3]
    first = np.maximum(np.floor(moved.min(axis=0) + 0.5), 0).astype(np.int64)
    last = np.minimum(np.ceil(moved.max(axis=0) - 0.5), np.array(target_shape) - 1).astype(np.int64)
    if (last < first).any():
        return
    extent = last - first + 1
    total = int(np.prod(extent))
    for start in range(0, total, CHUNK):
        flat = np.arange(start, min(start + CHUNK, total))
        yield np.stack(np.unravel_index(flat, tuple(extent))) + first[:, None]


def _share_inside(
    region: sparse.csr_matrix,
    source_shape: Shape,
    target_shape: Shape,
    source_to_target: np.ndarray,
) -> float:
    """Share of a region's volume inside the target's box, by `POINTS` per axis of its voxels."""
    if not region.nnz:
        return 1.0
    linear, edge = source_to_target[:3, :3], np.array(target_shape)[:, None] - 0.5
    index = np.stack(np.unravel_index(region.indices, source_shape))
    centres = linear @ index + source_to_target[:3, 3:]
    reach = np.abs(linear).sum(axis=1, keepdims=True) / 2
    whole = ((centres >= reach - 0.5) & (centres <= edge - reach)).all(axis=0)
    near = ((centres > -reach - 0.5) & (centres < edge + reach)).all(axis=0) & ~whole
    inside = float(region.data[whole].sum())
    points = sample_points((POINTS, POINTS, POINTS))
    for step in (linear @ points.T).T:
        place = centres[:, near] + step[:, None]
        within = ((place >= -0.5) & (place <= edge)).all(axis=0)
        inside += float(region.data[near][within].sum()) / points.shape[0]
    return inside / float(region.data.sum()) if (~whole).any() else 1.0
