"""A box cut out of a series: one animal of several in one field of view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from igdd.errors import InputError
from igdd.types import Grid, Series


def crop(series: Series, lower: Sequence[float], upper: Sequence[float]) -> Series:
    """The part of a series whose voxel centres lie in a box [RAS mm]: one animal of several.

    Where the grid is oblique to the box, the smallest block of voxels that holds them all.
    """
    low, high = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if low.shape != (3,) or high.shape != (3,) or not np.all(low < high):
        raise InputError(
            f"box from {low.tolist()} to {high.tolist()}; expected three mm each, lower < upper"
        )
    grid = series.grid
    axes = [np.arange(count) for count in grid.shape]
    start, stop = _block(grid, axes, low, high)
    if np.any(start >= stop):
        ends = grid.world(np.array([[0, 0, 0], np.array(grid.shape) - 1])).round(1).tolist()
        raise InputError(
            f"{series.source}: no voxel lies in the box from {low.tolist()} to {high.tolist()} mm; "
            f"expected one within the image, from {ends[0]} to {ends[1]} mm (RAS)"
        )
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world(start)
    size = stop - start
    frames = series.values.shape[3]
    kept = [f * grid.shape[2] + k for f in range(frames) for k in range(start[2], stop[2])]
    return Series(
        modality=series.modality,
        values=series.values[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]],
        grid=Grid(shape=(int(size[0]), int(size[1]), int(size[2])), affine=affine),
        headers=tuple(series.headers[index] for index in kept) if series.headers else (),
        sidecar=series.sidecar,
        source=f"{series.source}, box {low.tolist()} to {high.tolist()} mm",
        files=series.files,
        flags=series.flags,
    )


def _block(
    grid: Grid, axes: list[np.ndarray], low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First and past-the-last index of the voxels whose centres lie in the box."""
    start, stop = np.array(grid.shape), np.zeros(3, dtype=int)
    plane = np.stack(np.meshgrid(axes[0], axes[1], [0], indexing="ij"), axis=-1)
    world = grid.world(plane)
    for k in axes[2]:  # slice by slice: coordinates of all voxels would outweigh the image
        centres = world + k * grid.affine[:3, 2]
        inside = np.all((centres >= low) & (centres <= high), axis=-1)[..., 0]
        if inside.any():
            i, j = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            start = np.minimum(start, [i[0], j[0], k])
            stop = np.maximum(stop, [i[-1] + 1, j[-1] + 1, k + 1])
    return start, stop
