"""Regions from label maps and masks, and regions brought onto the grid of an image.

Shared by every reader of region files; no file is touched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from igdd.errors import InputError
from igdd.io import bounded
from igdd.kernels import resample
from igdd.types import Grid, Regions

# A share of volume that is lost to rounding, not to the edge of the image; and how far the single
# precision of a header's slope may lift a weight of 1.
ROUNDING = 1e-6
# Bytes that a labelled voxel takes while the sparse matrix is built: its index thrice, its weight.
VOXEL_BYTES = 48
# Atlases reach some 1,300 labels; more than this is an image that was taken for a label map.
MOST_LABELS = 10_000


def from_labels(
    labels: np.ndarray, grid: Grid, names: Mapping[int, str], source: str = ""
) -> Regions:
    """Regions of a label map (i, j, k) of whole numbers, in ascending order of the label.

    0 is background. A label without a name is called "label_<n>"; a name without voxels becomes
    an empty region with the flag `empty_region`.

    >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
    >>> from_labels(np.array([[[0]], [[5]]]), grid, {5: "liver"}).names
    ('liver',)
    """
    if labels.shape != grid.shape:
        raise InputError(
            f"{source}: the label map has shape {labels.shape}; expected its grid's {grid.shape}"
        )
    if labels.dtype.kind not in "biu":
        raise InputError(f"{source}: labels are {labels.dtype}; expected whole numbers")
    flat = labels.ravel()
    bounded.check_budget(int(np.count_nonzero(flat)) * VOXEL_BYTES, source, "the label map")
    columns = np.flatnonzero(flat)
    found, rows = np.unique(flat[columns], return_inverse=True)
    if found.size > MOST_LABELS:
        raise InputError(
            f"{source}: holds {found.size} different labels; expected at most {MOST_LABELS}; "
            "is it an image and no label map?"
        )
    if found.size and found[0] < 0:
        raise InputError(f"{source}: label {found[0]} is negative; expected 0 or above")
    if found.size and int(found[-1]) > np.iinfo(np.int64).max:
        raise InputError(f"{source}: label {found[-1]} is too large; expected below 2^63")
    every = sorted({int(label) for label in found} | {label for label in names if label != 0})
    place = np.searchsorted(np.array(every, dtype=np.int64), found.astype(np.int64))
    weights = sparse.csr_matrix(
        (np.ones(columns.size), (place[rows], columns)), shape=(len(every), grid.size)
    )
    return _regions(
        weights, tuple(names.get(label, f"label_{label}") for label in every), grid, source
    )


def whole_if_labels(values: np.ndarray, source: str = "") -> np.ndarray:
    """Real samples as int32 if all of them are whole numbers: then they are labels, not weights.

    >>> whole_if_labels(np.array([0.0, 7.0])).dtype
    dtype('int32')
    >>> whole_if_labels(np.array([0.0, 0.7])).dtype
    dtype('float64')
    """
    if not np.isfinite(values).all():
        raise InputError(f"{source}: holds samples that are no numbers; expected labels or 0 to 1")
    if not (values == np.rint(values)).all():
        return values
    if np.abs(values).max() >= 2.0**31:
        raise InputError(
            f"{source}: labels reach {np.abs(values).max():g}; expected them below 2^31"
        )
    return values.astype(np.int32)


def from_masks(
    masks: Sequence[np.ndarray], names: Sequence[str], grid: Grid, source: str = ""
) -> Regions:
    """Regions from one array (i, j, k) of weights 0..1 each; they may overlap."""
    rows = []
    for mask, name in zip(masks, names, strict=True):
        if mask.shape != grid.shape:
            raise InputError(
                f"{source}: region {name!r} has shape {mask.shape}; expected {grid.shape}"
            )
        low, high = float(mask.min()), float(mask.max())
        if not (low >= 0 and high <= 1 + ROUNDING):
            raise InputError(
                f"{source}: samples run from {low:g} to {high:g}; they are neither labels in one "
                "volume (whole numbers) nor weights (0 to 1); expected one of the two"
            )
        flat = mask.ravel()
        bounded.check_budget(int(np.count_nonzero(flat)) * VOXEL_BYTES, source, "the region")
        columns = np.flatnonzero(flat)
        rows.append(
            sparse.csr_matrix(
                (flat[columns].astype(float), (np.zeros(columns.size, np.int64), columns)),
                shape=(1, grid.size),
            )
        )
    weights = sparse.vstack(rows, format="csr") if rows else sparse.csr_matrix((0, grid.size))
    return _regions(sparse.csr_matrix(weights), tuple(names), grid, source)


def onto(regions: Regions, grid: Grid) -> Regions:
    """Regions on another grid: untouched, re-indexed, or shared out by volume overlap.

    Grids that agree to 0.01 voxel are the same. The same lattice under other axes, flips or field
    of view is re-indexed exactly. Anything else is brought over by overlap, which conserves volume,
    and flagged `resampled`. What lies beyond the grid is cut off and flagged `partly_outside`.
    """
    if grid.equals(regions.grid):
        return regions
    source_to_target = np.linalg.inv(grid.affine) @ regions.grid.affine
    place = (regions.weights, regions.grid.shape, grid.shape, source_to_target)
    same = resample.reindex(*place)
    weights, share = resample.overlap(*place) if same is None else same
    had = np.diff(regions.weights.indptr) > 0
    has = np.diff(weights.indptr) > 0
    flags = []
    for row, earlier in enumerate(regions.flags):
        new = set(earlier)
        if same is None:
            new.add("resampled")
        if share[row] < 1 - ROUNDING:
            new.add("partly_outside")
        if had[row] and not has[row]:
            new.add("empty_region")
        flags.append(tuple(sorted(new)))
    return Regions(
        weights=weights,
        names=regions.names,
        kinds=regions.kinds,
        grid=grid,
        flags=tuple(flags),
        source=regions.source,
    )


def _regions(
    weights: sparse.csr_matrix, names: tuple[str, ...], grid: Grid, source: str
) -> Regions:
    filled = np.diff(weights.indptr) > 0
    return Regions(
        weights=weights,
        names=names,
        kinds=("organ",) * len(names),
        grid=grid,
        flags=tuple(() if has else ("empty_region",) for has in filled),
        source=source,
    )
