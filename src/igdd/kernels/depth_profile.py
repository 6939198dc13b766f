"""Depth profile: concentration against the distance from a region's rim, or from vessels, in mm.

Distances run from a voxel's centre to the nearest face of the nearest voxel beyond the rim (or of a
vessel), so that a slab of n voxels of size s has depths s/2, 3s/2, ... whatever the other sizes.
"""

from __future__ import annotations

import numpy as np

# Shells in which the fall from the rim is looked for.
FINE = 20
# Depth bins that the exponential is fitted to, and the steepest fall or rise over the whole depth.
BINS = 256
STEEPEST = 50.0


def depth_from_rim(region: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Depth (i, j, k) in mm below the rim of a region (i, j, k); 0 outside.

    A region ends where the image ends.

    >>> depth_from_rim(np.ones((1, 1, 3), dtype=bool), np.array([9.0, 9.0, 2.0]))[0, 0].tolist()
    [1.0, 3.0, 1.0]
    """
    padded = np.pad(np.asarray(region, dtype=bool), 1)
    return np.where(region, _to_faces(padded, spacing)[1:-1, 1:-1, 1:-1], 0.0)


def distance_from(vessel: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance (i, j, k) in mm to the nearest vessel voxel; 0 inside, NaN where there is none."""
    inside = np.asarray(vessel, dtype=bool)
    if not inside.any():
        return np.full(inside.shape, np.nan)
    return np.where(inside, 0.0, _to_faces(~inside, spacing))


def _to_faces(cells: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance from each cell's centre to the box of the nearest voxel that is no cell.

    Nearest is meant of centres. Where voxels are much longer than wide, another voxel's box may lie
    nearer, by less than half a side.
    """
    from scipy import ndimage  # here, since metrics import this module

    nearest = ndimage.distance_transform_edt(
        cells, sampling=spacing, return_distances=False, return_indices=True
    )
    total = np.zeros(cells.shape)
    for axis, step in enumerate(spacing):
        places = np.arange(cells.shape[axis]).reshape([-1 if n == axis else 1 for n in range(3)])
        total += np.maximum(np.abs(nearest[axis] - places) - 0.5, 0.0) ** 2 * step**2
    return np.asarray(np.sqrt(total))


def equal_shells(depth: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Shares (shell, n) of voxels in `count` shells of equal volume, from the least depth on.

    Voxels of one depth are shared out alike, so that no order of voxels matters.

    >>> equal_shells(np.array([1.0, 1.0, 2.0]), np.ones(3), 3).round(2).tolist()
    [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    # Distances that differ by rounding are one.
    levels, number = np.unique(np.round(depth, 9), return_inverse=True)
    heights = np.bincount(number, weights=weights, minlength=levels.size)
    edges = np.concatenate([[0.0], np.cumsum(heights)])
    cuts = np.linspace(0.0, edges[-1], count + 1)
    lower = np.maximum(edges[:-1], cuts[:-1, None])
    upper = np.minimum(edges[1:], cuts[1:, None])
    share = np.maximum(upper - lower, 0.0) / np.where(heights > 0, heights, 1.0)
    return np.asarray(share[:, number] * weights)


def shell_means(shells: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean (shell,) of values (n,) in shells (shell, n)."""
    volume = shells.sum(axis=1)
    return np.asarray(
        np.divide(shells @ values, volume, out=np.full(volume.size, np.nan), where=volume > 0)
    )


def exponential_rate(values: np.ndarray, depth: np.ndarray, weights: np.ndarray) -> float:
    """Rate k in 1/mm of the fall C = A exp(-k depth): least squares on values, not on logarithms.

    Below zero where the concentration rises inwards. The length is 1 / k. NaN where all voxels
    have one depth or the profile is not above zero.
    """
    reach = float(np.ptp(depth)) if depth.size else 0.0
    if not reach > 0 or not weights @ values > 0:
        return float("nan")
    start = float(depth.min())
    bins = np.minimum(((depth - start) / reach * BINS).astype(int), BINS - 1)
    volume = np.bincount(bins, weights=weights, minlength=BINS)
    held = volume > 0
    volume = volume[held]
    middle = np.bincount(bins, weights=weights * (depth - start), minlength=BINS)[held] / volume
    level = np.bincount(bins, weights=weights * values, minlength=BINS)[held] / volume
    low, high = -STEEPEST, STEEPEST
    best = 0.0
    for _ in range(7):  # each pass narrows the grid twentyfold: to 1e-7 of the depth
        rates = np.linspace(low, high, 81)
        best = float(rates[np.argmin(_misfit(rates / reach, middle, level, volume))])
        step = 2 * (rates[1] - rates[0])
        low, high = best - step, best + step
    return best / reach


def _misfit(
    rates: np.ndarray, depth: np.ndarray, level: np.ndarray, volume: np.ndarray
) -> np.ndarray:
    """Squares that the best multiple of each exponential (rate,) leaves, up to a constant."""
    power = -rates[:, None] * depth
    curves = np.exp(power - power.max(axis=1, keepdims=True))
    fitted = (curves * volume) @ level
    return np.asarray(-(np.maximum(fitted, 0.0) ** 2) / ((curves**2) @ volume))


def half_depth(values: np.ndarray, depth: np.ndarray, weights: np.ndarray) -> float:
    """Depth in mm at which the concentration has first fallen to half of that at the rim.

    Read off the means of twenty shells of equal volume, the rim's by a straight line through the
    first two. NaN where it does not fall so far.
    """
    if depth.size < 2:
        return float("nan")
    shells = equal_shells(depth, weights, min(FINE, depth.size))
    level, place = shell_means(shells, values), shell_means(shells, depth)
    apart = np.append(True, np.diff(place) > 1e-9)
    level, place = level[apart], place[apart]
    if place.size < 2:
        return float("nan")
    rim = level[0] + (level[0] - level[1]) * place[0] / (place[1] - place[0])
    below = np.flatnonzero(level <= rim / 2)
    if not rim > 0 or not below.size:
        return float("nan")
    last = int(below[0])
    before, at = (rim, 0.0) if last == 0 else (level[last - 1], place[last - 1])
    return float(at + (before - rim / 2) / (before - level[last]) * (place[last] - at))
