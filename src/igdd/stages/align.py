"""Align: the images of a session come onto one grid.

Scans of one visit share the scanner's frame of reference; nothing is registered here, only
interpolated in world coordinates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.types import Grid, Image


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
