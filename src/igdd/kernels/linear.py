"""Weighted linear least squares for many curves at once, by QR, with covariance.

The normal equations are never formed: they would lose half the digits of a design whose columns
are nearly parallel, as the integrals of a graphical or multilinear method are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.judge import NOT_FITTED, deviations

# Smallest part of a column that the columns before it must leave over, for the column to count.
RANK = 1e-12


class LinearFit(NamedTuple):
    """Coefficients of n curves; NaN with the bit NOT_FITTED where there is no single answer.

    coefficients  (n, k)
    covariance    (n, k, k)
    predicted     (n, t), NaN in frames that were not used
    status        (n,)
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    predicted: np.ndarray
    status: np.ndarray


def solve_linear(
    design: np.ndarray,
    values: np.ndarray,
    sd: np.ndarray | None = None,
) -> LinearFit:
    """Coefficients of `values` (n, t) in the columns of `design`, by least squares.

    design  (t, k) for all curves or (n, t, k), one for each
    sd      (t,) or (n, t) standard deviations; infinite: the frame is not used; None: all alike.
            They say how the frames compare: the covariance is scaled by the residual variance with
            t - k degrees of freedom (NaN where that is 0)

    A curve with a value missing in a frame that is used, or with a design of less than full rank,
    is NaN with the bit NOT_FITTED; the others do not notice.
    """
    values, design = _fitting(values, design)
    curves = len(values)
    weight = weights(sd, values.shape)
    used = weight > 0
    weighted = np.where(used, values, 0.0) * weight
    bad = ~np.isfinite(weighted).all(axis=1)
    weighted[bad] = 0.0
    common = design.ndim == 2 and (sd is None or np.asarray(sd).ndim == 1)
    if common:
        columns = np.where(used[0, :, None], design, 0.0) * weight[0, :, None]
        solved = _common(columns, weighted)
    else:
        columns = np.where(used[..., None], design, 0.0) * weight[..., None]
        solved = _each(columns, weighted)
    coefficients, inverse, full = solved
    full = np.broadcast_to(full, curves) & ~bad & (used.sum(axis=1) >= columns.shape[-1])
    by_row = "tk,nk->nt" if common else "ntk,nk->nt"
    squares = np.sum((weighted - np.einsum(by_row, columns, coefficients)) ** 2, axis=1)
    spare = used.sum(axis=1) - columns.shape[-1]
    variance = np.where(spare > 0, squares / np.maximum(spare, 1), np.nan)
    covariance = (inverse @ np.swapaxes(inverse, 1, 2)) * variance[:, None, None]
    return LinearFit(
        coefficients=np.where(full[:, None], coefficients, np.nan),
        covariance=np.where(full[:, None, None], covariance, np.nan),
        predicted=np.where(used & full[:, None], _predicted(design, coefficients), np.nan),
        status=np.where(full, 0, NOT_FITTED),
    )


def _predicted(design: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Curves (n, t); a design that is not finite stands in frames that are not used."""
    by_row = "tk,nk->nt" if design.ndim == 2 else "ntk,nk->nt"
    finite = np.where(np.isfinite(design), design, 0.0)
    return np.asarray(np.einsum(by_row, finite, coefficients))


def _fitting(values: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curves (n, t) and their design, found to be of one size."""
    values = np.atleast_2d(np.asarray(values, dtype=float))
    design = np.asarray(design, dtype=float)
    fits = design.ndim in (2, 3) and design.shape[-2] == values.shape[1]
    if not fits or (design.ndim == 3 and len(design) != len(values)):
        raise InputError(
            f"a design of shape {design.shape} does not fit curves of shape {values.shape}; "
            "expected (t, k) or (n, t, k)"
        )
    return values, design


def weights(sd: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Reciprocals (n, t) of standard deviations: 0 where infinite, never of 0, below 0 or NaN."""
    spread = deviations(sd, shape)
    if not (spread > 0).all():
        raise InputError(
            f"a standard deviation of a frame is {spread.min():g}; expected "
            "positive ones, infinite for a frame that is not to be used"
        )
    return np.asarray(1 / spread)


def _common(columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One design for all curves: Householder QR once, then one matrix product."""
    length = np.linalg.norm(columns, axis=0)
    scale = np.where(length > 0, length, 1.0)
    basis, triangle = np.linalg.qr(columns / scale)
    size = columns.shape[1]
    if triangle.shape[0] < size or np.abs(np.diag(triangle)).min() <= RANK:
        return np.full((len(values), size), np.nan), np.eye(size)[None], np.array(False)
    inverse = np.linalg.inv(triangle)
    coefficients = values @ basis @ inverse.T / scale
    return coefficients, (inverse / scale[:, None])[None], np.array(True)


def _each(columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A design for each curve: modified Gram-Schmidt of the columns with the values appended, which
    for least squares is as stable as Householder's (Bjorck, BIT 1967;7:1)."""
    size = columns.shape[2]
    length = np.linalg.norm(columns, axis=1)
    scale = np.where(length > 0, length, 1.0)
    basis = [columns[:, :, j] / scale[:, j, None] for j in range(size)]
    rest = values.copy()
    triangle = np.zeros((len(values), size, size))
    right = np.empty((len(values), size))
    full = np.ones(len(values), dtype=bool)
    for j in range(size):
        norm = np.linalg.norm(basis[j], axis=1)
        full &= norm > RANK
        triangle[:, j, j] = np.where(norm > RANK, norm, 1.0)
        direction = basis[j] / triangle[:, j, j, None]
        for later in range(j + 1, size):
            triangle[:, j, later] = np.einsum("nt,nt->n", direction, basis[later])
            basis[later] = basis[later] - triangle[:, j, later, None] * direction
        right[:, j] = np.einsum("nt,nt->n", direction, rest)
        rest -= right[:, j, None] * direction
    inverse = np.linalg.inv(triangle)
    coefficients = np.einsum("njk,nk->nj", inverse, right) / scale
    return coefficients, inverse / scale[:, :, None], full
