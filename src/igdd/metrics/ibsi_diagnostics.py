"""Diagnostics: what image and region look like as read, as interpolated and as re-segmented.

The 60 numbers that the IBSI 1 compliance sheet asks for beside the features of the CT phantom: a
difference in them tells which step of the preparation went another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from igdd.kernels import regrid
from igdd.metrics.ibsi_configuration import Configuration
from igdd.metrics.ibsi_prepare import (
    MOST_VOXELS,
    box_of,
    prepare,
    settled,
    wanted_spacing,
)

AXES = ("x", "y", "z")


def diagnostics(
    image: np.ndarray, mask: np.ndarray, spacing: np.ndarray, settings: Configuration
) -> dict[str, float]:
    """Sizes, voxel sizes, counts and intensities of image and region, by the IBSI's tags.

    x, y, z are the array's i, j, k. The whole image is interpolated, not only the region; the
    intensities of one of more than `MOST_VOXELS` are NaN. A filter has no part in them.
    """
    values = image.astype(float)
    if settings.round:
        values = np.rint(values)
    drawn = mask if mask.dtype == bool else mask >= 0.5
    spacing = np.asarray(spacing, dtype=float)
    found = dict(_of_image(values, spacing, "init_img"))
    found |= _of_interpolated(values, spacing, settings)
    known = drawn & np.isfinite(values)
    found |= _of_region(values, drawn, known, values.shape, "init_roi")
    ready = prepare(image, mask, spacing, replace(settings, filter=None))
    if ready is None:
        return found
    for inside, ending in ((ready.before, "interp_roi"), (ready.inside, "reseg_roi")):
        found |= _of_region(ready.image, ready.region, inside, ready.shape, ending)
    return found


def _of_interpolated(
    values: np.ndarray, spacing: np.ndarray, settings: Configuration
) -> dict[str, float]:
    """The whole image as interpolated."""
    setting = settings.interpolate
    wanted, same = wanted_spacing(spacing, settings)
    if setting is None or same.all():
        return dict(_of_image(values, spacing, "interp_img"))
    points = [
        None if kept else regrid.places(size, float(old), float(new))
        for kept, size, old, new in zip(same, values.shape, spacing, wanted, strict=True)
    ]
    sizes = [
        size if there is None else there.size
        for size, there in zip(values.shape, points, strict=True)
    ]
    if np.prod(sizes, dtype=float) > MOST_VOXELS:
        nothing = np.full((1, 1, 1), np.nan)
        found = dict(_of_image(nothing, wanted, "interp_img"))
        return found | {
            f"img_dim_{axis}_interp_img": float(size)
            for axis, size in zip(AXES, sizes, strict=True)
        }
    made = settled(regrid.resample(np.nan_to_num(values), points, setting.image))
    made = np.rint(made) if settings.round else made
    return dict(_of_image(made, wanted, "interp_img"))


def _of_image(values: np.ndarray, spacing: np.ndarray, ending: str) -> Iterator[tuple[str, float]]:
    for axis, size, length in zip(AXES, values.shape, spacing, strict=True):
        yield f"img_dim_{axis}_{ending}", float(size)
        yield f"vox_dim_{axis}_{ending}", float(length)
    yield from zip(
        (f"{name}_int_{ending}" for name in ("mean", "min", "max")), _levels(values), strict=True
    )


def _of_region(
    values: np.ndarray,
    region: np.ndarray,
    inside: np.ndarray,
    shape: tuple[int, ...],
    ending: str,
) -> Iterator[tuple[str, float]]:
    for kind, mask in (("int_mask", inside), ("morph_mask", region)):
        box = box_of(mask)
        for n, axis in enumerate(AXES):
            size = 0 if box is None else box[n].stop - box[n].start
            yield f"{kind}_bb_dim_{axis}_{ending}", float(size)
        yield f"{kind}_vox_count_{ending}", float(mask.sum())
    for n, axis in enumerate(AXES):
        yield f"int_mask_dim_{axis}_{ending}", float(shape[n])
    yield from zip(
        (f"int_mask_{name}_int_{ending}" for name in ("mean", "min", "max")),
        _levels(values[inside]),
        strict=True,
    )


def _levels(values: np.ndarray) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan"), float("nan"), float("nan")
    return float(known.mean()), float(known.min()), float(known.max())
