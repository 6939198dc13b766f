"""Regrid: an image or a mask on a lattice of another spacing, as the IBSI manual defines it.

IBSI reference manual (arXiv:1612.07003), 2.4: the new lattice has ceil(n d / d') voxels along an
axis of n voxels of size d, its centre is the old one's, and beyond the outermost voxel centres the
image goes on at its edge value.
"""

from __future__ import annotations

import numpy as np

# A quotient of lengths this little above a whole number is that number (float32 affines).
SLACK = 1e-4
# Voxels of edge value in front of the B-spline's recursion: its pole to this power is below 1e-12.
EDGE = 22

ORDERS = ("nearest", "linear", "cubic")


def new_size(size: int, spacing: float, wanted: float) -> int:
    """Voxels of `wanted` mm that cover `size` voxels of `spacing` mm.

    >>> new_size(204, 0.977, 2.0)
    100
    """
    return max(int(np.ceil(size * spacing / wanted - SLACK)), 1)


def places(size: int, spacing: float, wanted: float) -> np.ndarray:
    """Where the centres of the new lattice lie, in voxels of the old one.

    >>> places(4, 1.0, 2.0).tolist()
    [0.5, 2.5]
    """
    count = new_size(size, spacing, wanted)
    from_middle = (np.arange(count) - (count - 1) / 2) * (wanted / spacing)
    # A place half-way between two voxels lies there exactly, or ties are broken by rounding.
    return np.asarray(np.round((size - 1) / 2 + from_middle, 9))


def resample(image: np.ndarray, points: list[np.ndarray | None], order: str) -> np.ndarray:
    """Values (i, j, k) at the product of three lists of places; None keeps an axis as it is.

    order  "nearest", "linear" or "cubic" (interpolating B-spline). Values must be finite.
    """
    values = np.asarray(image, dtype=float)
    for axis, wanted in enumerate(points):
        if wanted is not None:
            values = _along(values, axis, wanted, order)
    return values


def _along(values: np.ndarray, axis: int, wanted: np.ndarray, order: str) -> np.ndarray:
    last = values.shape[axis] - 1
    inside = np.clip(wanted, 0, last)
    if order == "nearest":
        return np.asarray(np.take(values, np.floor(inside + 0.5).astype(np.int64), axis=axis))
    if order == "linear":
        lower = np.minimum(np.floor(inside).astype(np.int64), max(last - 1, 0))
        share = inside - lower
        return _blend(values, axis, lower, [1 - share, share])
    from scipy.ndimage import spline_filter1d

    padding = [(EDGE, EDGE) if n == axis else (0, 0) for n in range(values.ndim)]
    terms = spline_filter1d(np.pad(values, padding, mode="edge"), order=3, axis=axis)
    lower = np.floor(inside).astype(np.int64)
    share = inside - lower
    weights = [
        (1 - share) ** 3 / 6,
        (4 - 6 * share**2 + 3 * share**3) / 6,
        (1 + 3 * share + 3 * share**2 - 3 * share**3) / 6,
        share**3 / 6,
    ]
    return _blend(terms, axis, lower + EDGE - 1, weights)


def _blend(
    values: np.ndarray, axis: int, lower: np.ndarray, weights: list[np.ndarray]
) -> np.ndarray:
    """Weighted sum of the entries at lower, lower + 1, ... along an axis."""
    shape = [1] * values.ndim
    shape[axis] = -1
    last = values.shape[axis] - 1
    total = np.take(values, lower, axis=axis) * weights[0].reshape(shape)
    for step, weight in enumerate(weights[1:], start=1):
        total += np.take(values, np.minimum(lower + step, last), axis=axis) * weight.reshape(shape)
    return np.asarray(total)
