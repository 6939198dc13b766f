"""The geometric transfer matrix with its errors: amounts in regions, as imaged and recovered.

With weights W (cell, voxel) that share out every voxel once and a blur B, uniform cells of means c
look like B W^T c, and the sums over cells are W B W^T c (Rousset, Ma and Evans, J Nucl Med
1998;39:904). Since B keeps sums, so does the solution: what all cells hold is what the image holds.

Errors are modes, each what one standard deviation of one cause does to all amounts and volumes, to
first order. When weights change by dW the solution changes by M^-1 (dW r - W B dW^T c), with r the
image minus B W^T c: inner products with weights already blurred, no sampling again.

All amounts are sums over voxels; the last cell is the rest, the last region is the remainder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from igdd.kernels.blur import Shape, overlap, with_rest
from igdd.kernels.partition import Cells, moves

LOST = 1e-6  # an image stored as float32 holds nothing about what is weakened more than this


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """What stays the same from frame to frame.

    drawn    weights of the regions as drawn (region, voxel), overlaps included
    blurred  weights after the point spread (cell, voxel)
    matrix   W B W^T (cell + 1, cell + 1)
    steeper  change of the matrix for one standard deviation of the point spread, or None
    noise    W R W^T with R the correlation of the noise, or None where it is unknown
    changes  change of each region's weights for one standard deviation of each motion
    given    the same over 1 - B w: times another cell's blurred weights, what that cell gives
    """

    cells: Cells
    drawn: sparse.csr_matrix
    blurred: sparse.csr_matrix
    matrix: np.ndarray
    steeper: np.ndarray | None
    noise: np.ndarray | None
    changes: sparse.csr_matrix
    given: sparse.csr_matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """One frame: amounts (region,), their noise covariance, and modes (mode, region)."""

    amounts: np.ndarray
    covariance: np.ndarray
    modes: np.ndarray
    volume_modes: np.ndarray


def border_moves(
    cells: Cells,
    blurred: sparse.csr_matrix,
    shape: Shape,
    spacing: np.ndarray,
    step: float,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """`changes` and `given` of a Design: each region moved and grown by `step` mm (0: none)."""
    count = cells.shares.shape[0] - 1 if step > 0 else 0
    if not count:
        none = sparse.csr_matrix((0, cells.weights.shape[1]))
        return none, none
    changes, given = moves(cells.weights[:count], blurred[:count], shape, spacing)
    return changes * step, given * step


def sums(weights: sparse.csr_matrix, values: np.ndarray) -> np.ndarray:
    """Sum of values (voxel,) over each cell and the rest."""
    return with_rest(np.asarray(weights @ values), np.asarray(values.sum()))


def as_imaged(design: Design, values: np.ndarray, variance: np.ndarray | None) -> Sampled:
    """Amounts as the image shows them; voxels without a value count as their region's mean."""
    finite = np.isfinite(values)
    known = np.where(finite, values, 0.0)
    cells = design.cells
    received, seen = (_over_regions(design, part) for part in (finite.astype(float), known))
    volume = cells.shares @ cells.volume
    amounts = np.full(seen.shape, np.nan)
    np.divide(seen * volume, received, out=amounts, where=received > LOST)
    return _of_regions(
        cells, amounts, _noise(design, variance), _exchanged(design, known), _volumes(design)
    )


def _over_regions(design: Design, values: np.ndarray) -> np.ndarray:
    """Sums over regions as drawn, and over the remainder: what no cell of a region holds."""
    count = design.drawn.shape[0]
    of_cells = np.asarray(design.cells.weights[:count] @ values)
    return np.append(design.drawn @ values, values.sum() - of_cells.sum())


def recovered(design: Design, values: np.ndarray, variance: np.ndarray | None) -> Sampled:
    """Amounts corrected for partial volume; NaN where the matrix does not tell."""
    finite = np.isfinite(values)
    known = np.where(finite, values, 0.0)
    cells = design.cells
    matrix = design.matrix
    if not finite.all():
        matrix = overlap(cells.weights, design.blurred, finite.astype(float))
    inverse, lost = invert(matrix, cells.volume)
    means = inverse @ sums(cells.weights, known)
    model = means[-1] + design.blurred.T @ (means[:-1] - means[-1])
    residual = np.where(finite, known - model, 0.0)
    borders = _exchanged(design, residual) - _misplaced(design, means, model)
    uneven = sparse.csr_matrix(cells.weights.multiply(residual))
    causes = [borders, _through(design.blurred, uneven)]
    if design.steeper is not None:
        causes.append(-(design.steeper @ means)[:, np.newaxis])
    volumes = _volumes(design)
    changes = cells.volume[:, np.newaxis] * (inverse @ np.concatenate(causes, axis=1))
    changes[:, : volumes.shape[1]] += means[:, np.newaxis] * volumes
    still = np.zeros((volumes.shape[0], changes.shape[1] - volumes.shape[1]))
    spread = cells.volume[:, np.newaxis] * inverse
    amounts = cells.shares @ (cells.volume * means)
    amounts[(cells.shares[:, lost] > 0).any(axis=1)] = np.nan
    return _of_regions(
        cells,
        amounts,
        spread @ _noise(design, variance) @ spread.T,
        changes,
        np.concatenate([volumes, still], axis=1),
    )


def invert(matrix: np.ndarray, volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of a transfer matrix, and which cells it does not tell; empty cells get zeros.

    Scaled by the volumes, so that a small cell is not taken for a lost one. What is lost gets the
    smallest solution, so that the others are still right.

    >>> inverse, lost = invert(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([2.0, 2.0]))
    >>> inverse @ np.array([3.0, 3.0]), lost
    (array([1.5, 1.5]), array([ True,  True]))
    """
    held = volume > 0
    scale = np.sqrt(volume[held])
    inverse = np.zeros_like(matrix)
    lost = np.zeros(volume.size, dtype=bool)
    left, strength, right = np.linalg.svd(matrix[np.ix_(held, held)] / np.outer(scale, scale))
    weak = strength < LOST * strength[0]
    lost[held] = (np.abs(right[weak]) > np.sqrt(LOST)).any(axis=0)
    kept = np.divide(1, strength, out=np.zeros_like(strength), where=~weak)
    inverse[np.ix_(held, held)] = ((right.T * kept) @ left.T) / np.outer(scale, scale)
    return inverse, lost


def _through(blurred: sparse.csr_matrix, rows: sparse.csr_matrix) -> np.ndarray:
    """Products (cell + 1, row) of all blurred cells with rows over voxels."""
    products = np.asarray((blurred @ rows.T).toarray())
    return with_rest(products, np.asarray(rows.sum(axis=1)).ravel())


def _movers(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Which cell each motion moves, and the motion's number."""
    motion = np.arange(design.changes.shape[0])
    return motion // 4, motion


def _exchanged(design: Design, values: np.ndarray) -> np.ndarray:
    """Change dW v of the sums (cell + 1, motion): what a cell takes, its neighbours give."""
    changes = -_through(design.blurred, sparse.csr_matrix(design.given.multiply(values)))
    changes[_movers(design)] = design.changes @ values
    return changes


def _misplaced(design: Design, means: np.ndarray, model: np.ndarray) -> np.ndarray:
    """W B dW^T c (cell + 1, motion): change of the sums that moved cells would cause."""
    mover, _ = _movers(design)
    own = sparse.diags_array(means[mover]) @ design.given
    gained = sparse.csr_matrix(own - design.given.multiply(model))
    return _through(design.blurred, gained)


def _volumes(design: Design) -> np.ndarray:
    """Change of the volumes (cell + 1, motion)."""
    changes = -_through(design.blurred, design.given)
    changes[_movers(design)] = np.asarray(design.changes.sum(axis=1)).ravel()
    return changes


def _noise(design: Design, variance: np.ndarray | None) -> np.ndarray:
    """Covariance of the sums: each cell's mean noise, correlated over voxels; NaN if unknown."""
    size = design.cells.volume.size
    if variance is None or design.noise is None:
        return np.full((size, size), np.nan)
    known = np.isfinite(variance)
    if not known.any():
        return np.full((size, size), np.nan)
    total = sums(design.cells.weights, np.where(known, variance, 0.0).astype(float))
    count = sums(design.cells.weights, known.astype(float))
    mean = np.divide(total, count, out=np.zeros(size), where=count > LOST)
    deviation = np.sqrt(np.maximum(mean, 0.0))
    return np.asarray(np.outer(deviation, deviation) * design.noise)


def _of_regions(
    cells: Cells,
    amounts: np.ndarray,
    covariance: np.ndarray,
    modes: np.ndarray,
    volumes: np.ndarray,
) -> Sampled:
    """Cells put together to regions as drawn."""
    shares = cells.shares
    return Sampled(
        amounts=amounts,
        covariance=shares @ covariance @ shares.T,
        modes=(shares @ modes).T,
        volume_modes=(shares @ volumes).T,
    )
