"""Outlines in planes: the exact share of every voxel that they enclose, and outlines of regions.

A contour lies in one plane and stands for a slab around it. In the plane its share of each pixel
is exact (`igdd.kernels.polygon`); several contours of a region in one plane combine by the
even-odd rule, as holes and keyholes ask. Along the slices:

* On the image's own slices, with the image's spacing, each contour is its slice.
* Else a slab reaches half way to the next contour of its region; at the region's ends, and where
  outlines are missing, half the contour spacing. A slice weighs as much as the slab covers of it
  (flag `resampled`). The contour spacing is the smallest spacing of a region of the file that has
  at least three evenly spaced contours; without such a region, contours on the image's slices
  have the image's spacing, others the smallest gap within a region.
* Planes that are skipped stay empty (flag `contour_gap`): nobody outlined them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from igdd.errors import InputError
from igdd.io.dicom_object import check_cover
from igdd.kernels.polygon import polygon_window
from igdd.types import Grid, Regions

# Contours may be tilted against the slices by this angle, and coordinates rounded to this many mm.
TILT = np.radians(0.1)
ROUNDED = 0.05
# Places and spacings of contours that agree to this share of the slice spacing are the same: slice
# positions are commonly rounded to a tenth of a millimetre.
LIKE = 0.05
# Outlines that follow the image's edge may stray over it by this share of a pixel.
EDGE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A region as it is drawn: its name, and closed contours (points, 3) in mm, RAS+."""

    name: str
    contours: tuple[np.ndarray, ...]


def enclosed(outlines: Sequence[Outline], grid: Grid, source: str) -> Regions:
    """What outlines with unique names enclose, as shares of the voxels of a grid.

    Raises InputError where a contour is not parallel to the slices within 0.1 degree.
    """
    planes = [_planes(outline, grid, source) for outline in outlines]
    step = _contour_step([np.array(sorted(plane)) for plane in planes])
    rows, flags = [], []
    spent = 0
    for outline, plane in zip(outlines, planes, strict=True):
        try:
            row, found = _weights(plane, step, grid, spent)
        except InputError as error:
            raise InputError(f"{source}: region {outline.name!r}: {error}") from error
        spent += row.nnz
        rows.append(row)
        flags.append(tuple(sorted(found)))
    weights = sparse.vstack(rows, format="csr") if rows else sparse.csr_matrix((0, grid.size))
    return Regions(
        weights=sparse.csr_matrix(weights),
        names=tuple(outline.name for outline in outlines),
        kinds=("organ",) * len(outlines),
        grid=grid,
        flags=tuple(flags),
        source=source,
    )


def traced(regions: Regions) -> list[Outline]:
    """Contours of regions on each slice of their grid, where the weights pass one half.

    Straight between neighbouring pixel centres, so that fractional weights keep the border to a
    fraction of a pixel. The corners of a region of whole pixels are cut, each by an eighth of a
    pixel. A hole is a contour of its own.
    """
    from skimage.measure import find_contours

    outlines = []
    for name in regions.names:
        weights = regions.mask(name)
        contours = []
        for k in np.flatnonzero(weights.any(axis=(0, 1))):
            for corners in find_contours(np.pad(weights[:, :, k], 1), 0.5):
                indices = np.column_stack([corners[:-1] - 1, np.full(len(corners) - 1, k)])
                contours.append(regions.grid.world(indices))
        outlines.append(Outline(name=name, contours=tuple(contours)))
    return outlines


def _planes(outline: Outline, grid: Grid, source: str) -> dict[float, list[np.ndarray]]:
    """Contours (points, 2) in indices i, j by their plane's place k, in planes of the slices."""
    across, along, normal = grid.affine[:3, :3].T
    upright = np.cross(across, along)
    distance = abs(float(normal @ upright)) / float(np.linalg.norm(upright))
    placed = []
    for contour in outline.contours:
        indices = grid.indices(contour)
        place = float(indices[:, 2].mean())
        stray = float(np.abs(indices[:, 2] - place).max()) * distance
        extent = float(np.linalg.norm(np.ptp(contour, axis=0)))
        if stray > extent / 2 * np.tan(TILT) + ROUNDED:
            raise InputError(
                f"{source}: a contour of {outline.name!r} leaves its slice by {stray:.3g} mm; "
                f"expected planes parallel to the image's slices within {np.degrees(TILT):.1f} "
                "degrees; give the image it was drawn on, or export it as a segmentation"
            )
        placed.append((place, indices[:, :2]))
    planes: dict[float, list[np.ndarray]] = {}
    current = -np.inf
    for place, corners in sorted(placed, key=lambda pair: pair[0]):
        if place - current > LIKE:
            current = place
        planes.setdefault(current, []).append(corners)
    return planes


def _contour_step(places: Sequence[np.ndarray]) -> float:
    """Spacing of a file's contours in units of the slice spacing (rule: head of this file)."""
    gaps = [np.diff(place) for place in places if len(place) > 1]
    even = [gap.mean() for gap in gaps if len(gap) > 1 and np.ptp(gap) <= LIKE * gap.mean()]
    if even:
        return float(min(even))
    flat = np.concatenate([*places, [0.0]])
    if not gaps or np.abs(flat - np.rint(flat)).max() <= LIKE:
        return 1.0
    return float(min(gap.min() for gap in gaps))


def _weights(
    planes: Mapping[float, list[np.ndarray]], step: float, grid: Grid, spent: int
) -> tuple[sparse.csr_matrix, set[str]]:
    """One row of weights over the grid's voxels, and the region's flags; `spent` were before."""
    places = np.array(sorted(planes))
    flags = set()
    if (np.diff(places) > 1.5 * step).any():
        flags.add("contour_gap")
    columns, shares = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for place, slices in zip(places, _slabs(places, step, grid.shape[2]), strict=True):
        if _leaves(planes[place], grid) or any(not 0 <= k < grid.shape[2] for k in slices):
            flags.add("partly_outside")
        if list(slices.values()) != [1.0]:
            flags.add("resampled")
        window, (first, second) = polygon_window(planes[place], grid.shape[:2])
        i, j = np.nonzero(window)
        pixel = (i + first) * grid.shape[1] + j + second
        for k, share in slices.items():
            if 0 <= k < grid.shape[2]:
                columns.append(pixel * grid.shape[2] + k)
                shares.append(window[i, j] * share)
                spent += pixel.size
                check_cover(spent, grid, "contours")
    column = np.concatenate(columns)
    entries = (np.concatenate(shares), (np.zeros_like(column), column))
    row: sparse.csr_matrix = sparse.csr_matrix(entries, shape=(1, grid.size))
    np.minimum(row.data, 1.0, out=row.data)
    if not row.nnz:
        flags.add("empty_region")
    return row, flags


def _slabs(places: np.ndarray, step: float, last: int) -> list[dict[int, float]]:
    """For each contour plane the slices (-1 to `last`) that its slab covers, and their shares."""
    nearest = np.rint(places)
    if abs(step - 1) <= LIKE and (np.abs(places - nearest) <= LIKE).all():
        return [{int(k): 1.0} for k in nearest]
    gaps = np.diff(places)
    half = np.where(gaps <= 1.5 * step, gaps / 2, step / 2)
    low = places - np.concatenate([[step / 2], half])
    high = places + np.concatenate([half, [step / 2]])
    slabs = []
    for bottom, top in zip(low, high, strict=True):
        reached = range(
            int(max(np.floor(bottom + 0.5), -1)), int(min(np.ceil(top + 0.5), last + 1))
        )
        shares = {k: min(top, k + 0.5) - max(bottom, k - 0.5) for k in reached}
        slabs.append({k: float(share) for k, share in shares.items() if share > 1e-9})
    return slabs


def _leaves(contours: Sequence[np.ndarray], grid: Grid) -> bool:
    """Whether contours of a plane reach beyond the pixels of the grid."""
    corners = np.concatenate(contours)
    size = np.array(grid.shape[:2])
    return bool((corners < -0.5 - EDGE).any() or (corners > size - 0.5 + EDGE).any())
