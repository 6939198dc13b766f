"""Matched: two images of one region on one grid and, where both point spreads are known, at one
resolution.

Nothing is registered: the images share the scanner's frame of reference, or have been brought to
it. The sharper image is blurred on its own grid by what its point spread lacks; an image with
smaller voxels is averaged over the larger ones, else interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from igdd.errors import InputError
from igdd.kernels.blur import TRUNCATE, sigma_of
from igdd.kernels.matched_resolution import blurred
from igdd.kernels.matched_resolution import lacking as between
from igdd.kernels.resample import shift_of
from igdd.types import Grid

# Points per axis of a target voxel at which a finer image is read, at most.
MOST_POINTS = 5
# Voxels around the part of an image that is kept, so that interpolation has neighbours.
MARGIN = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """Values (i, j, k) of one frame on their grid, and the FWHM in mm of their point spread."""

    values: np.ndarray
    grid: Grid
    fwhm: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """Values of both images (i, j, k) on one grid, how they came there, and their common FWHM.

    rules  what was done to each image, in words
    fwhm   mm, or None where it is not known of both
    """

    values: tuple[np.ndarray, np.ndarray]
    grid: Grid
    rules: tuple[str, str]
    fwhm: float | None


def match(one: Stored, other: Stored, grid: Grid) -> Matched:
    """Two images on a grid, at the resolution of the blurrier one where both are known."""
    known = one.fwhm is not None and other.fwhm is not None
    common = max(one.fwhm or 0.0, other.fwhm or 0.0) if known else None
    made = [_brought(image, grid, common) for image in (one, other)]
    return Matched(
        values=(made[0][0], made[1][0]), grid=grid, rules=(made[0][1], made[1][1]), fwhm=common
    )


def cropped(grid: Grid, inside: np.ndarray) -> tuple[Grid, tuple[slice, slice, slice]]:
    """The part of a grid around a mask (i, j, k), and where it lies in it."""
    if not inside.any():
        raise InputError("the region holds no voxel of the grid; is it of another image?")
    ends = [np.flatnonzero(inside.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))]
    box = (
        slice(int(ends[0][0]), int(ends[0][1]) + 1),
        slice(int(ends[1][0]), int(ends[1][1]) + 1),
        slice(int(ends[2][0]), int(ends[2][1]) + 1),
    )
    return _part(grid, box), box


def _brought(image: Stored, grid: Grid, common: float | None) -> tuple[np.ndarray, str]:
    """An image on a grid at a common resolution, and what was done to it."""
    lacking = 0.0
    if common is not None and image.fwhm is not None:
        lacking = between(image.fwhm, common)
    near = _near(image, grid, lacking)
    values = near.values.astype(float)
    steps = []
    if lacking > 1e-6:
        values = blurred(values, near.grid.spacing, lacking)
        steps.append(f"blurred by {lacking:.4g} mm FWHM to {common:.4g} mm")
    exact = _reindexed(values, near.grid, grid)
    if exact is not None:
        return exact, "; ".join(steps or ["as it is"])
    read, points = _resampled(values, near.grid, grid)
    way = "trilinear"
    if points != (1, 1, 1):
        way += ", mean of " + " x ".join(str(n) for n in points) + " points in a voxel"
    return read, "; ".join([*steps, way])


def _near(image: Stored, grid: Grid, lacking: float) -> Stored:
    """The part of an image that has a say on a grid."""
    corners = np.array(list(product(*[(-0.5, n - 0.5) for n in grid.shape])))
    places = image.grid.indices(grid.world(corners))
    margin = np.full(3, float(MARGIN))
    if lacking > 0:
        margin += np.ceil(TRUNCATE * sigma_of(lacking, image.grid.spacing))
    low = np.ceil(places.min(axis=0) - 1e-3 - margin).astype(int)
    high = np.floor(places.max(axis=0) + 1e-3 + margin).astype(int)
    box = [
        slice(max(int(first), 0), min(int(last) + 1, size))
        for first, last, size in zip(low, high, image.grid.shape, strict=True)
    ]
    if any(part.stop <= part.start for part in box):
        raise InputError(
            "the region lies outside one of the images; expected both images to show it; "
            "are they in one frame of reference?"
        )
    cut = (box[0], box[1], box[2])
    return Stored(values=image.values[cut], grid=_part(image.grid, cut), fwhm=image.fwhm)


def _reindexed(values: np.ndarray, source: Grid, grid: Grid) -> np.ndarray | None:
    """Values on a grid of the same voxels under other axes, flips or cuts; None if it is another.

    Exact: no value changes.
    """
    found = shift_of(np.linalg.inv(grid.affine) @ source.affine, source.shape)
    if found is None:
        return None
    axes, signs, shifts = found
    here: list[np.ndarray] = []
    there: list[np.ndarray] = [np.empty(0, np.int64)] * 3
    for axis, size in enumerate(source.shape):
        moved = signs[axis] * np.arange(size) + shifts[axis]
        kept = (moved >= 0) & (moved < grid.shape[axes[axis]])
        here.append(np.flatnonzero(kept))
        there[axes[axis]] = moved[kept]
    made = np.full(grid.shape, np.nan)
    made[np.ix_(*there)] = np.transpose(values[np.ix_(*here)], np.argsort(axes))
    return made


def _part(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    affine = grid.affine.copy()
    start = np.array([part.start for part in box], dtype=float)
    affine[:3, 3] = grid.world(start)
    lengths = [part.stop - part.start for part in box]
    return Grid(shape=(lengths[0], lengths[1], lengths[2]), affine=affine)


def _resampled(
    values: np.ndarray, source: Grid, grid: Grid
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Values on another grid, and at how many points along each axis a voxel was read."""
    step = np.linalg.inv(source.affine[:3, :3]) @ grid.affine[:3, :3]
    need = np.ceil(np.abs(step).max(axis=0) - 0.01)
    points = [int(n) for n in np.clip(need, 1, MOST_POINTS)]
    total = np.zeros(grid.shape)
    for place in product(*[(np.arange(n) - (n - 1) / 2) / n for n in points]):
        affine = grid.affine.copy()
        affine[:3, 3] = grid.world(np.array(place))
        total += _trilinear(values, source, Grid(shape=grid.shape, affine=affine))
    return total / np.prod(points), (points[0], points[1], points[2])


def _trilinear(values: np.ndarray, source: Grid, grid: Grid) -> np.ndarray:
    """Values on another grid; NaN where the source has none."""
    if source.equals(grid):
        return values
    from scipy.ndimage import affine_transform

    # A place that leaves the outermost voxel centres by rounding alone has not left the image.
    step = np.round(np.linalg.inv(source.affine) @ grid.affine, 9)
    return np.asarray(
        affine_transform(
            values.astype(np.float32), step[:3, :3], step[:3, 3],
            output_shape=grid.shape, order=1, mode="constant", cval=np.nan,
        )
    )  # fmt: skip
