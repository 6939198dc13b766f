"""Gaussian blur of region weights and the overlap of regions under it: W B W^T.

A region is a sparse row over voxels (C order). It is blurred inside its bounding box and a margin
that holds the whole kernel, never over the whole image. The kernel is normalised and mirrored at
the image's borders, so that the blur keeps every row's sum (tests: 1e-9) and leaves a uniform image
as it is. The last row, "the rest", is never blurred: what all rows must add up to gives it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

TRUNCATE = 4.0  # kernel half-width in standard deviations; 6e-5 of a Gaussian lies beyond

Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]


def sigma_of(fwhm: float, spacing: np.ndarray) -> np.ndarray:
    """Standard deviation (3,) in voxels of a Gaussian of a full width at half maximum in mm.

    >>> sigma_of(2.3548200450309493, np.array([1.0, 2.0, 4.0])).round(6)
    array([1.  , 0.5 , 0.25])
    """
    return np.asarray(fwhm / np.sqrt(8 * np.log(2)) / spacing)


def box_of(row: sparse.csr_matrix, shape: Shape, margin: np.ndarray) -> Box | None:
    """Bounding box of a row's voxels, grown by `margin` (3,) voxels; None if the row is empty."""
    if not row.nnz:
        return None
    places = np.unravel_index(row.indices, shape)
    low = [max(int(n.min()) - int(m), 0) for n, m in zip(places, margin, strict=True)]
    high = [
        min(int(n.max()) + int(m) + 1, size)
        for n, m, size in zip(places, margin, shape, strict=True)
    ]
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def crop_of(row: sparse.csr_matrix, shape: Shape, box: Box) -> np.ndarray:
    """A row as a dense array over a box that holds all its voxels."""
    crop = np.zeros([part.stop - part.start for part in box])
    places = np.unravel_index(row.indices, shape)
    crop[tuple(n - part.start for n, part in zip(places, box, strict=True))] = row.data
    return crop


def row_of(crop: np.ndarray, shape: Shape, box: Box) -> sparse.csr_matrix:
    """A dense array over a box as a sparse row over all voxels."""
    inside = np.nonzero(crop)
    places = tuple(n + part.start for n, part in zip(inside, box, strict=True))
    columns = np.ravel_multi_index(places, shape)
    size = int(np.prod(shape))
    return sparse.csr_matrix((crop[inside], columns, [0, columns.size]), shape=(1, size))


def blur_rows(weights: sparse.csr_matrix, shape: Shape, sigma: np.ndarray) -> sparse.csr_matrix:
    """Rows of weights (region, voxel) blurred by a Gaussian of `sigma` voxels.

    `sigma` is (3,), or (region, 3) where regions need different widths. The sum of each row stays.
    """
    widths = np.broadcast_to(np.asarray(sigma, dtype=float), (weights.shape[0], 3))
    if not weights.shape[0]:
        return weights
    rows = [_blurred(weights[n], shape, widths[n]) for n in range(weights.shape[0])]
    return sparse.csr_matrix(sparse.vstack(rows, format="csr"))


def _blurred(row: sparse.csr_matrix, shape: Shape, sigma: np.ndarray) -> sparse.csr_matrix:
    from scipy.ndimage import gaussian_filter  # here, since metrics import this module

    margin = np.floor(TRUNCATE * sigma + 0.5)
    box = box_of(row, shape, margin)
    if box is None:
        return row
    # Mirroring matters at the image's borders only: elsewhere the margin holds zeros.
    crop = gaussian_filter(crop_of(row, shape, box), sigma, mode="reflect", truncate=TRUNCATE)
    return row_of(crop, shape, box)


def with_rest(products: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Products (region, ...) of all rows, closed by that of the rest: what is left of `totals`."""
    return np.concatenate([products, (totals - products.sum(axis=0))[np.newaxis]])


def overlap(
    weights: sparse.csr_matrix, blurred: sparse.csr_matrix, inside: np.ndarray | None = None
) -> np.ndarray:
    """W B W^T (row, row), in voxels: how much of each row's signal each row receives.

    Entry (i, j) is the sum of row j, blurred, over row i. The last row and column are the rest of
    the image. Columns add up to the rows' sums: blur moves signal and makes none. With `inside`
    (voxel,) 0 or 1, signal is received in those voxels only.
    """
    received = weights if inside is None else sparse.csr_matrix(weights.multiply(inside))
    among = np.asarray((received @ blurred.T).toarray())
    sent = blurred.sum(axis=1) if inside is None else blurred @ inside
    columns = with_rest(among, np.asarray(sent).ravel())
    everything = float(weights.shape[1] if inside is None else inside.sum())
    volumes = with_rest(np.asarray(received.sum(axis=1)).ravel(), np.asarray(everything))
    return np.column_stack([columns, volumes - columns.sum(axis=1)])


def noise_overlap(
    weights: sparse.csr_matrix, shape: Shape, spacing: np.ndarray, fwhm: float
) -> np.ndarray:
    """W R W^T (row, row) with R the correlation of white noise smoothed by a FWHM in mm.

    R falls with the distance d as exp(-d^2 / (4 sigma^2)): a Gaussian wider by sqrt(2), and 1 at
    zero distance. FWHM 0 is white noise. The last row is the rest.
    """
    if not fwhm > 0:
        return overlap(weights, weights)
    sigma = np.sqrt(2) * sigma_of(fwhm, spacing)
    peak = np.prod([_peak(width) for width in sigma])
    return np.asarray(overlap(weights, blur_rows(weights, shape, sigma)) / peak)


def _peak(sigma: float) -> float:
    """Largest weight of the normalised kernel along one axis."""
    reach = int(TRUNCATE * sigma + 0.5)
    return float(1 / np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).sum())


def correlation_root(count: int, spacing: float, fwhm: float) -> np.ndarray:
    """Symmetric root (n, n) of the correlation along an axis: root @ white noise is correlated.

    The correlation is that of `noise_overlap`; its product over three axes is that of a volume.

    >>> root = correlation_root(5, 2.0, 6.0)
    >>> bool(np.allclose(np.diag(root @ root), 1.0))
    True
    """
    if not fwhm > 0:
        return np.eye(count)
    sigma = float(sigma_of(fwhm, np.array(spacing)))
    distance = np.subtract.outer(np.arange(count), np.arange(count))
    values, vectors = np.linalg.eigh(np.exp(-(distance**2) / (4 * sigma**2)))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
