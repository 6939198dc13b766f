"""Sample: from an image and its regions to curves, as imaged and corrected for partial volume.

Recovered means come from one geometric transfer matrix of all regions, a shell of local background
around each, and the rest of the field of view (`igdd.kernels.transfer`); the activity of all
regions and the remainder together stays what it was. Besides image noise, curves carry as modes:

* borders: each region may lie elsewhere along i, j, k and be drawn too wide. Each of the four
  motions has the standard deviation boundary_sd / sqrt(2), so that a point of the border has
  boundary_sd. A region takes from its neighbours what it gains: the total does not change.
* point spread (recovered): the change when its width is one psf_sd off.
* non-uniformity (recovered): what is left of each region's voxels when the recovered means,
  blurred, are taken away, sent through the matrix once more: what uneven uptake does to all means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.ndimage import uniform_filter

from igdd.errors import StudyError
from igdd.facts import Scanner
from igdd.kernels import blur
from igdd.kernels.partition import cells_of, cut
from igdd.kernels.transfer import LOST, Design, Sampled, as_imaged, border_moves, recovered
from igdd.types import Curves, Grid, Image, Modes, Regions

REMAINDER = "remainder"
SMALL = 0.3  # a region that keeps less of its own signal is flagged
INTERIOR = 0.99  # share of own signal in a voxel that counts as inside: about 1 FWHM from a border
ENOUGH = 100  # voxels from which a variance is known to 14 %


def sample(image: Image, regions: Regions, scanner: Scanner) -> tuple[Curves, Curves | None]:
    """Mean of each region and of the remainder in each frame: as imaged, and recovered.

    The remainder (all of the field of view that no region claims) is the last row. Without a point
    spread nothing is recovered (None). Voxels without a value are left out.
    """
    if REMAINDER in regions.names:
        raise StudyError(
            f"a region is named {REMAINDER!r}, the name of what no region claims; expected another "
            "name; rename it in its file or by [[region]]"
        )
    image = noise_variance(image, regions, scanner)
    design = _design(image, _clean(regions.weights), scanner)
    flags = _flags(image, regions, design)
    curves = _curves(image, regions, design, as_imaged, flags)
    curves = replace(curves, source="Region means were taken as imaged.")
    if scanner.psf is None:
        return curves, None
    own = np.diag(design.matrix)[: len(regions.names)]
    small = own < SMALL * design.cells.volume[: own.size]
    unsure = [{"small_region"} if n < own.size and small[n] else set() for n in range(own.size + 1)]
    both = [old | new for old, new in zip(flags, unsure, strict=True)]
    corrected = _curves(image, regions, design, recovered, both)
    words = (
        "Region means were corrected for partial volume by the geometric transfer matrix "
        f"(Gaussian point spread of {scanner.psf:g} mm, standard deviation {scanner.psf_sd:g} mm; "
        "local background shells; total activity unchanged)."
    )
    return curves, replace(corrected, source=words)


def noise_variance(image: Image, regions: Regions, scanner: Scanner) -> Image:
    """The image with the variance of its noise per voxel, from the scatter in a uniform region.

    Variance over mean of the declared region's interior, corrected for the correlation of its
    voxels; elsewhere the variance is in proportion to the local mean, as for counts. An image that
    has a variance, or a scanner without a declared noise region, is left as it is.
    """
    if image.variance is not None or scanner.noise_region is None:
        return image
    if scanner.noise_region not in regions.names:
        raise StudyError(
            f"scanner.noise names region {scanner.noise_region!r}, which is not drawn; "
            f"expected one of: {', '.join(regions.names)}"
        )
    if scanner.noise_correlation is None:
        raise StudyError(
            "scanner.noise has no correlation; expected the FWHM of the noise's correlation, "
            "e.g. correlation = '4.0 mm'"
        )
    fwhm = scanner.noise_correlation
    disjoint, _ = cut(_clean(regions.weights))
    row = disjoint[regions.names.index(scanner.noise_region)]
    interior = _interior(row, image, scanner.psf if scanner.psf is not None else fwhm)
    variance = np.empty(image.values.shape, dtype=np.float32)
    for time in range(image.frames.start.size):
        frame = image.values[..., time]
        ratio = _variance_over_mean(interior, frame, image.grid, fwhm)
        variance[..., time] = ratio * np.abs(_local_mean(disjoint, frame))
    return replace(image, variance=variance, noise_correlation=fwhm)


def _clean(weights: sparse.csr_matrix) -> sparse.csr_matrix:
    rows = sparse.csr_matrix(weights, dtype=np.float64, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _interior(row: sparse.csr_matrix, image: Image, fwhm: float) -> sparse.csr_matrix:
    """Voxels of a region away from its border, where they are enough, else all that are whole."""
    size = row.shape[1]
    own = blur.blur_rows(row, image.grid.shape, blur.sigma_of(fwhm, image.grid.spacing))
    deep = own.indices[own.data > INTERIOR]
    if deep.size < ENOUGH:
        deep = row.indices[row.data > 1 - LOST]
    return sparse.csr_matrix(
        (np.ones(deep.size), (np.zeros(deep.size, dtype=deep.dtype), deep)), shape=(1, size)
    )


def _variance_over_mean(
    interior: sparse.csr_matrix, frame: np.ndarray, grid: Grid, fwhm: float
) -> float:
    """Unbiased variance over mean; correlated voxels scatter less about their own mean."""
    values = frame.ravel()[interior.indices].astype(float)
    values = values[np.isfinite(values)]
    if values.size < 2 or not values.mean() > 0:
        return float("nan")
    together = blur.noise_overlap(interior, grid.shape, grid.spacing, fwhm)[0, 0]
    together = float(together) / interior.nnz**2
    return float(np.var(values) / max(1 - together, LOST) / values.mean())


def _local_mean(disjoint: sparse.csr_matrix, frame: np.ndarray) -> np.ndarray:
    """Mean of the region that a voxel lies in; between regions, of five voxels each way."""
    values = np.nan_to_num(frame.astype(float), nan=0.0)
    volume = np.asarray(disjoint.sum(axis=1)).ravel()
    means = np.divide(disjoint @ values.ravel(), volume, out=0 * volume, where=volume > 0)
    rest = 1 - np.asarray(disjoint.sum(axis=0)).reshape(frame.shape)
    inside = (disjoint.T @ means).reshape(frame.shape)
    return np.asarray(inside + rest * uniform_filter(values, 5, mode="nearest"))


def _design(image: Image, weights: sparse.csr_matrix, scanner: Scanner) -> Design:
    shape, spacing = image.grid.shape, image.grid.spacing
    cells = cells_of(weights, shape, spacing, scanner.psf)
    blurred = _spread(cells.weights, image, scanner.psf)
    steeper = None
    if scanner.psf is not None and scanner.psf_sd > 0:
        step = min(scanner.psf_sd, scanner.psf / 2)
        wide, narrow = (
            blur.overlap(cells.weights, _spread(cells.weights, image, scanner.psf + change))
            for change in (step, -step)
        )
        steeper = (wide - narrow) * (scanner.psf_sd / (2 * step))
    noise = None
    if image.variance is not None:
        noise = blur.noise_overlap(cells.weights, shape, spacing, image.noise_correlation)
    step = scanner.boundary_sd / np.sqrt(2)
    changes, given = border_moves(cells, blurred, shape, spacing, float(step))
    return Design(
        cells=cells,
        drawn=weights,
        blurred=blurred,
        matrix=blur.overlap(cells.weights, blurred),
        steeper=steeper,
        noise=noise,
        changes=changes,
        given=given,
    )


def _spread(weights: sparse.csr_matrix, image: Image, fwhm: float | None) -> sparse.csr_matrix:
    """Weights blurred by the point spread; by one voxel where it is not known.

    The image is an average over voxels. Fractional weights are averages too and carry that; weights
    of 0 and 1 do not, so they are blurred by the voxel (variance 1/12) as well.
    """
    sigma = np.ones(3) if fwhm is None else blur.sigma_of(fwhm, image.grid.spacing)
    sharp = [float((weights[n].data > 1 - LOST).all()) for n in range(weights.shape[0])]
    widths = np.sqrt(sigma**2 + np.array(sharp)[:, np.newaxis] / 12)
    return blur.blur_rows(weights, image.grid.shape, widths)


def _flags(image: Image, regions: Regions, design: Design) -> list[set[str]]:
    volume = design.cells.shares @ design.cells.volume
    missing = (~np.isfinite(image.values)).any(axis=-1).ravel()
    holes = np.append(regions.weights @ missing, 0.0)
    flags = [set(own) for own in (*regions.flags, ())]
    for n, own in enumerate(flags):
        own |= {"empty_region"} if not volume[n] > 0 else set()
        own |= {"nan_voxels"} if holes[n] > 0 else set()
        own |= {"noise_unknown"} if image.variance is None else set()
    return flags


def _curves(
    image: Image,
    regions: Regions,
    design: Design,
    rule: Callable[[Design, np.ndarray, np.ndarray | None], Sampled],
    flags: list[set[str]],
) -> Curves:
    """All frames sampled by one rule, from sums over voxels to means and mL."""
    frames = [
        rule(
            design,
            image.values[..., time].ravel().astype(float),
            None if image.variance is None else image.variance[..., time].ravel(),
        )
        for time in range(image.frames.start.size)
    ]
    volume = design.cells.shares @ design.cells.volume
    count = np.where(volume > 0, volume, np.nan)
    means = np.stack([frame.amounts / count for frame in frames], axis=-1)
    noise = np.stack([frame.covariance for frame in frames]) / np.outer(count, count)
    grown = frames[0].volume_modes
    changes = np.stack([frame.modes for frame in frames], axis=-1)
    changes = (changes - grown[..., np.newaxis] * means) / count[:, np.newaxis]
    unsure = np.isnan(means).any(axis=-1) & (volume > 0)
    return Curves(
        values=means,
        covariance=noise,
        volume=volume * image.grid.voxel_volume,
        volume_sd=np.sqrt(np.sum(grown**2, axis=0)) * image.grid.voxel_volume,
        names=(*regions.names, REMAINDER),
        kinds=(*regions.kinds, REMAINDER),
        frames=image.frames,
        quantity=image.quantity,
        unit=image.unit,
        analyte=image.analyte,
        decay=image.decay,
        scale_cv=image.scale_cv,
        flags=tuple(
            tuple(sorted(own | ({"small_region"} if unsure[n] and rule is recovered else set())))
            for n, own in enumerate(flags)
        ),
        modes=Modes(values=np.nan_to_num(changes, nan=0.0), volume=grown * image.grid.voxel_volume),
    )
