"""Intensity peaks: the image's mean in a sphere of 1 mL, around the maximum and at its highest.

IBSI reference manual (arXiv:1612.07003), section 3.2. A voxel belongs to the sphere when its centre
does; voxels outside the region count, voxels outside the image or without a value do not.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.compiled import njit

# Radius in mm of a sphere of 1 mL.
RADIUS = (3 / (4 * np.pi)) ** (1 / 3) * 10
# Rods times places beyond which the highest sphere is not looked for: about ten seconds.
MOST_WORK = 1e10


def peaks(image: np.ndarray, region: np.ndarray, spacing: np.ndarray) -> tuple[float, float]:
    """Local and global intensity peak of a region (i, j, k), in the unit of the image.

    The local peak is that of the voxel of largest value; of several the highest. The image must
    reach `RADIUS` beyond the region wherever there is image. A peak of so many voxels so small that
    it would take minutes is NaN.
    """
    places = np.argwhere(region)
    values = image[region]
    highest = places[values == values.max()]
    rods = _rods(spacing, RADIUS, image.shape).shape[0]
    found = [
        float(sphere_means(image, one, spacing, RADIUS).max())
        if one.shape[0] * rods <= MOST_WORK
        else float("nan")
        for one in (highest, places)
    ]
    return found[0], found[1]


def sphere_means(
    image: np.ndarray, places: np.ndarray, spacing: np.ndarray, radius: float
) -> np.ndarray:
    """Mean of the image in a sphere of `radius` mm around each place (n, 3), by voxel centres."""
    known = np.isfinite(image)
    running = np.zeros((*image.shape[:2], image.shape[2] + 1))
    np.cumsum(np.where(known, image, 0.0), axis=2, out=running[:, :, 1:])
    counts = np.zeros(running.shape, np.int64)
    np.cumsum(known, axis=2, out=counts[:, :, 1:])
    return np.asarray(_means(running, counts, places, _rods(spacing, radius, image.shape)))


def _rods(spacing: np.ndarray, radius: float, shape: tuple[int, ...]) -> np.ndarray:
    """The sphere as rods along k: offsets in i and j, and the reach to both sides (rod, 3).

    Only those that lie in an image of the shape from at least one of its voxels.
    """
    reach = np.floor(np.minimum(radius / spacing[:2] + 1e-9, np.array(shape[:2]) - 1))
    reach = reach.astype(np.int64)
    i, j = (
        axis.ravel() for axis in np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")
    )
    left = radius**2 - (i * spacing[0]) ** 2 - (j * spacing[1]) ** 2
    inside = left >= -1e-9
    half = np.floor(np.sqrt(np.maximum(left[inside], 0.0)) / spacing[2] + 1e-9).astype(np.int64)
    return np.column_stack([i[inside], j[inside], half])


@njit(cache=True, nogil=True)
def _means(
    running: np.ndarray, counts: np.ndarray, places: np.ndarray, rods: np.ndarray
) -> np.ndarray:
    rows, columns, slices = running.shape[0], running.shape[1], running.shape[2] - 1
    means = np.empty(places.shape[0])
    for n in range(places.shape[0]):
        total = 0.0
        count = 0
        for rod in range(rods.shape[0]):
            i = places[n, 0] + rods[rod, 0]
            j = places[n, 1] + rods[rod, 1]
            if i < 0 or j < 0 or i >= rows or j >= columns:
                continue
            first = max(places[n, 2] - rods[rod, 2], 0)
            last = min(places[n, 2] + rods[rod, 2] + 1, slices)
            total += running[i, j, last] - running[i, j, first]
            count += counts[i, j, last] - counts[i, j, first]
        means[n] = total / count
    return means
