"""Prepare: image and mask become the region, its intensities and its grey levels.

In the order of the IBSI reference manual (arXiv:1612.07003), chapter 2: interpolate, round, filter,
re-segment, discretise. Only the region's surroundings are interpolated, as far as they matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.errors import InputError
from igdd.kernels import discretise, regrid
from igdd.metrics.ibsi_configuration import Bins, Configuration
from igdd.metrics.ibsi_response import farthest, response

# mm around the region that stay with it: the sphere of 1 mL around its outermost voxel, and more.
MARGIN = 6.5
# Voxels around a region that decide about it at its border, in the lattice it was drawn in.
AROUND = 2
# Voxels of an interpolated surrounding beyond which a voxel size is refused: some hundred MB.
MOST_VOXELS = 3e7


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A region on the lattice that its features are computed on, cut to its surroundings.

    image    (i, j, k) intensities, or responses to a filter; NaN where there is none
    region   morphological mask
    before   intensity mask: what of it has a value; `inside` what re-segmentation leaves of that
    spacing  (3,) mm; `shape` of the whole lattice
    """

    image: np.ndarray
    region: np.ndarray
    before: np.ndarray
    inside: np.ndarray
    spacing: np.ndarray
    shape: tuple[int, ...]

    @property
    def values(self) -> np.ndarray:
        """Intensities (n,) of the intensity mask."""
        return np.asarray(self.image[self.inside])


def prepare(
    image: np.ndarray, mask: np.ndarray, spacing: np.ndarray, configuration: Configuration
) -> Prepared | None:
    """A region ready for its features; None where the mask holds no voxel.

    mask  (i, j, k) share of each voxel that belongs to the region; from one half up it does
    """
    drawn = mask if mask.dtype == bool else mask >= 0.5
    box = box_of(drawn)
    if box is None:
        return None
    made = _interpolate(image, drawn, box, spacing, configuration)
    if made is None:
        return None
    values, region, wanted, shape = made
    known = region & np.isfinite(values)
    inside = resegment(values, known, configuration)
    if configuration.filter is not None:
        near = _surroundings(region, wanted)
        values = response(values, wanted, configuration.filter, near)
        region = region[near]
        known = known[near] & np.isfinite(values)
        inside = inside[near] & known
    return Prepared(
        image=values, region=region, before=known, inside=inside, spacing=wanted, shape=shape
    )


def interpolated(
    image: np.ndarray, spacing: np.ndarray, configuration: Configuration
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The whole image (i, j, k) on the lattice of a configuration, and rounded as it asks.

    With it, along each axis, the voxel of the old lattice (3,) where the new one's first voxel
    lies, and its voxel size (3,) in mm.
    """
    setting = configuration.interpolate
    wanted, same = wanted_spacing(spacing, configuration)
    values = np.where(np.isfinite(image), image, np.nan).astype(float, order="C")
    values = np.rint(values) if configuration.round else values
    if setting is None or same.all():
        return values, np.zeros(3), wanted
    points = [
        None if kept else regrid.places(size, float(old), float(new))
        for kept, size, old, new in zip(same, values.shape, spacing, wanted, strict=True)
    ]
    _check_size(points, tuple(slice(0, size) for size in values.shape))
    made = settled(_resample(values, points, setting.image))
    first = np.array([0.0 if there is None else there[0] for there in points])
    return np.rint(made) if configuration.round else made, first, wanted


def wanted_spacing(
    spacing: np.ndarray, configuration: Configuration
) -> tuple[np.ndarray, np.ndarray]:
    """Voxel size (3,) in mm that a configuration asks for, and along which axes it is as it was."""
    wanted = spacing.copy()
    if configuration.interpolate is not None:
        sizes = configuration.interpolate.spacing_mm
        wanted[: len(sizes)] = sizes
    same = np.abs(wanted - spacing) <= 1e-6 * spacing
    wanted[same] = spacing[same]
    return wanted, same


def box_of(region: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box around a mask; None where it is empty."""
    flat = [region.any(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    if not flat[0].any():
        return None
    ends = [np.flatnonzero(line)[[0, -1]] for line in flat]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def resegment(values: np.ndarray, region: np.ndarray, configuration: Configuration) -> np.ndarray:
    """The voxels of a region whose intensities lie in the range and within sigma of the mean.

    Mean and deviation are those of the whole region, and what lies in both ranges stays: the
    manual (2.5) intersects the two.
    """
    inside = region
    wanted = configuration.resegment
    if wanted.range is not None:
        low, high = wanted.range
        inside = inside & (values >= low) & (values <= high)
    if wanted.sigma is not None and region.any():
        chosen = values[region]
        mean, reach = chosen.mean(), wanted.sigma * chosen.std()
        inside = inside & (np.abs(values - mean) <= reach)
    return np.asarray(inside)


def grey_levels(values: np.ndarray, bins: Bins) -> tuple[np.ndarray, int]:
    """Grey level (n,) of each intensity, and the number of levels of the discretisation."""
    if bins.number is not None:
        levels = discretise.fixed_number(values, bins.number)
        return levels, bins.number if levels.max() > 1 else 1
    if bins.width is not None and bins.anchor is not None:
        levels = discretise.fixed_size(values, bins.width, bins.anchor)
    else:
        levels = discretise.as_levels(values)
    return levels, int(levels.max())


def volume_bins(
    values: np.ndarray, bins: Bins, limits: tuple[float, float] | None
) -> tuple[np.ndarray, int, float, float]:
    """Bin of each intensity from 0, the last bin, the intensity of bin 0, and the step.

    Manual, 3.5. The range is that of re-segmentation; where it is open, or there is none, it ends
    with the intensities. A width stands for bin centres, a number of bins for bin numbers.
    """
    low, high = values.min(), values.max()
    if bins.number is not None:
        levels = (
            np.minimum(np.floor(bins.number * (values - low) / (high - low)), bins.number - 1)
            if high > low
            else np.zeros(values.shape)
        )
        return levels, bins.number - 1 if high > low else 0, 1.0, 1.0
    step = 1.0 if bins.width is None else bins.width
    start = float(low) if bins.anchor is None else bins.anchor
    if bins.anchor is None and limits is not None and np.isfinite(limits[0]):
        start = limits[0]
    if low < start:
        raise InputError(
            f"volume_histogram.anchor {start:g} lies above the smallest intensity {low:g}; "
            "expected none below it; lower it, or re-segment by range from it"
        )
    found = np.floor((values - start) / step)
    if limits is None or not np.isfinite(limits[1]):
        last = found.max()
    elif bins.width is None:
        last = np.floor(limits[1] - start)
    else:
        last = max(np.ceil((limits[1] - start) / step - 1e-9) - 1, 0)
    if not last < 2**53:
        raise InputError(
            f"volume_histogram makes {last:.3g} bins of {step:g}; expected fewer than 9e15; choose "
            "wider ones, or a fixed number"
        )
    first_value = start if bins.width is None else start + step / 2
    return np.minimum(found, last), int(last), float(first_value), step


def _interpolate(
    image: np.ndarray,
    drawn: np.ndarray,
    box: tuple[slice, ...],
    spacing: np.ndarray,
    configuration: Configuration,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]] | None:
    """Intensities and mask around a region, their spacing, and the shape of the whole lattice."""
    setting = configuration.interpolate
    wanted, same = wanted_spacing(spacing, configuration)
    margins = _margins(wanted, configuration)
    points: list[np.ndarray | None] = []
    source: list[slice] = []
    shape = []
    for axis, part in enumerate(box):
        size = image.shape[axis]
        margin = margins[axis]
        if same[axis]:
            points.append(None)
            source.append(slice(max(part.start - margin, 0), min(part.stop + margin, size)))
            shape.append(size)
            continue
        every = regrid.places(size, float(spacing[axis]), float(wanted[axis]))
        near = (every > part.start - AROUND) & (every < part.stop - 1 + AROUND)
        numbers = np.flatnonzero(near)
        if not numbers.size:
            return None
        kept = every[max(numbers[0] - margin, 0) : numbers[-1] + margin + 1]
        reach = regrid.EDGE + AROUND
        start = int(np.clip(np.floor(kept[0]) - reach, 0, size - 1))
        stop = int(np.clip(np.ceil(kept[-1]) + reach + 1, start + 1, size))
        points.append(kept - start)
        source.append(slice(start, stop))
        shape.append(every.size)
    cut = tuple(source)
    _check_size(points, cut)
    # One order in memory, so that sums do not depend on how the image was held.
    values = image[cut].astype(float, order="C")
    region = np.ascontiguousarray(drawn[cut])
    values[~np.isfinite(values)] = np.nan
    if configuration.round:
        values = np.rint(values)
    if setting is not None and not same.all():
        shares = regrid.resample(region, points, setting.mask)
        # A share that falls short of the threshold by rounding alone has reached it.
        region = shares >= setting.mask_threshold - 1e-9
        values = settled(_resample(values, points, setting.image))
        if configuration.round:
            values = np.rint(values)
    return (values, region, wanted, tuple(shape)) if region.any() else None


def _margins(wanted: np.ndarray, configuration: Configuration) -> list[int]:
    """Voxels of the new lattice around a region that its features, and a filter, depend on.

    An image that goes on periodically answers at one edge to its other: it is needed as a whole.
    """
    margins = np.ceil(MARGIN / wanted)
    if configuration.filter is not None:
        reach = np.array(farthest(configuration.filter, wanted), dtype=float)
        if configuration.filter.padding == "periodic":
            reach[reach > 0] = np.inf
        margins = margins + reach
    # As many as a lattice has, whatever its voxels, are all.
    return [int(min(margin, 2**31)) for margin in margins]


def _surroundings(region: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """The box around a region with the margin that its features need; all of it where empty."""
    box = box_of(region) or tuple(slice(0, size) for size in region.shape)
    margins = np.ceil(MARGIN / spacing).astype(int)
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, margin, size in zip(box, margins, region.shape, strict=True)
    )


def settled(values: np.ndarray) -> np.ndarray:
    """Interpolated intensities without the rounding of their arithmetic: to 1e-10 of the largest.

    A voxel that keeps its place must keep its value: else 210, read as 210 - 3e-14, would fall into
    the bin below, and half a unit would round either way.
    """
    highest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    if not 0 < highest < 1e200:
        return values
    return np.asarray(np.round(values, int(10 - np.ceil(np.log10(highest)))))


def _resample(values: np.ndarray, points: list[np.ndarray | None], order: str) -> np.ndarray:
    """Interpolated intensities; NaN wherever a voxel without a value has a part in them."""
    unknown = np.isnan(values)
    if not unknown.any():
        return regrid.resample(values, points, order)
    from scipy.ndimage import distance_transform_edt

    if unknown.all():
        return regrid.resample(values, points, "nearest")
    # The nearest known value stands in, so that the spline's tails have something to hold on to.
    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    made = regrid.resample(values[tuple(nearest)], points, order)
    share = regrid.resample(unknown, points, "nearest" if order == "nearest" else "linear")
    made[share > 1e-9] = np.nan
    return made


def _check_size(points: list[np.ndarray | None], cut: tuple[slice, ...]) -> None:
    sizes = [
        part.stop - part.start if there is None else there.size
        for there, part in zip(points, cut, strict=True)
    ]
    voxels = float(np.prod(sizes, dtype=float))
    if voxels > MOST_VOXELS:
        raise InputError(
            f"interpolate.spacing_mm makes {voxels:.3g} voxels around the region; expected at most "
            f"{MOST_VOXELS:.0e}; choose larger voxels"
        )
