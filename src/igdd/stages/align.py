"""Align: the images of a session come onto one grid.

Scans of one visit share the scanner's frame of reference; nothing is registered here, only
interpolated in world coordinates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.types import Grid, Image


def turned(values: np.ndarray, own: Grid, grid: Grid) -> np.ndarray | None:
    """Values (i, j, k) on a grid of the same voxels, whose axes have another order or direction;
    None where the voxels are others. Converters turn images so; nothing is interpolated.

    >>> own, grid = Grid(shape=(2, 1, 1), affine=np.eye(4)), np.diag([-1.0, 1.0, 1.0, 1.0])
    >>> grid[0, 3] = 1.0
    >>> turned(np.array([[[1.0]], [[2.0]]]), own, Grid(shape=(2, 1, 1), affine=grid)).ravel()
    array([2., 1.])
    """
    step = (np.linalg.inv(own.affine) @ grid.affine)[:3, :3]
    axes = np.argmax(np.abs(step), axis=0)
    if sorted(axes) != [0, 1, 2]:
        return None
    back = tuple(axis for axis in range(3) if step[axes[axis], axis] < 0)
    same = np.flip(values.transpose(axes), back)
    affine = own.affine[:, [*axes, 3]]
    for axis in back:
        affine[:, 3] += affine[:, axis] * (same.shape[axis] - 1)
        affine[:, axis] *= -1
    moved = Grid(shape=same.shape, affine=affine)
    return same if moved.equals(grid) else None


def onto(image: Image, grid: Grid) -> Image:
    """The image on another grid by trilinear interpolation; outside its own it is NaN.

    The variance does not survive interpolation and becomes unknown.
    """
    if image.grid.equals(grid):
        return image
    from scipy.ndimage import affine_transform

    # A place that leaves the outermost voxel centres by rounding alone has not left the image.
    step = np.round(np.linalg.inv(image.grid.affine) @ grid.affine, 9)
    values = np.stack(
        [
            affine_transform(
                image.values[..., frame].astype(np.float32),
                step[:3, :3],
                step[:3, 3],
                output_shape=grid.shape,
                order=1,
                mode="constant",
                cval=np.nan,
            )
            for frame in range(image.values.shape[3])
        ],
        axis=3,
    )
    return replace(image, values=values, grid=grid, variance=None, noise_correlation=0.0)
