"""Cells: regions that may overlap cut into parts that share out every voxel once, and their moves.

The geometric transfer matrix (Rousset, Ma and Evans, J Nucl Med 1998;39:904) takes each region and
its surroundings as uniform. The rest of a field of view is not: it is air and many tissues. So each
region gets two shells of the rest around it. The inner is the local background; 1.5 FWHM thick, it
keeps from the region all that lies beyond. The outer does the same for the inner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from igdd.kernels.blur import Box, Shape, box_of, crop_of, row_of

ROUNDING = 1e-6  # of weights that were stored as float32
SHELLS = (1.5, 3.0)  # outer ends of the shells, in FWHM from the region
FEW = 1e-3  # share of a voxel's signal below which it has no neighbours to speak of


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Disjoint parts of an image: one per region, then shells, then (not stored) the rest.

    weights  (cell, voxel) without the rest; columns add up to 1 at most
    volume   (cell + 1,) in voxels, the rest last
    shares   (region + 1, cell + 1): the share of each cell that lies in each region as drawn; the
             last row is the remainder: all shells and the rest
    """

    weights: sparse.csr_matrix
    volume: np.ndarray
    shares: np.ndarray


def cut(weights: sparse.csr_matrix) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Cut overlapping regions (region, voxel) apart: the smaller region keeps what both claim.

    A lesion drawn inside an organ keeps its voxels and the organ keeps the others, each uniform by
    itself (sharing a voxel in proportion would make a hot lesion out of two lukewarm halves).
    Returns the cells' weights and the shares (region, region) of cells in regions as drawn.
    """
    count = weights.shape[0]
    volume = np.asarray(weights.sum(axis=1)).ravel()
    if not count or np.asarray(weights.sum(axis=0)).max() <= 1 + ROUNDING:
        return weights, np.eye(count)
    taken = np.zeros(weights.shape[1])
    rows: list[sparse.csr_matrix] = [weights[n] for n in range(count)]
    contested = np.zeros((count, count))
    done: list[int] = []
    for n in np.argsort(volume, kind="stable"):
        place, claim = rows[n].indices, np.minimum(rows[n].data, 1.0)
        held = taken[place]
        lost = _shared(claim, held)
        kept = claim - lost
        part = np.divide(lost, held, out=np.zeros_like(kept), where=held > 0)
        for other in done:
            contested[n, other] = rows[other][:, place].toarray().ravel() @ part
        rows[n] = sparse.csr_matrix((kept, place, [0, place.size]), shape=rows[n].shape)
        taken[place] += kept
        done.append(int(n))
    cells = sparse.csr_matrix(sparse.vstack(rows, format="csr"))
    cells.eliminate_zeros()
    size = np.asarray(cells.sum(axis=1)).ravel()
    return cells, np.eye(count) + np.divide(contested, size, where=size > 0, out=contested * 0)


def _shared(claim: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Share of each voxel that a region claims and others hold.

    Two halves of a voxel may be the same half or not. Neighbours share no more than they must; a
    region that lies within others, by most of what it could share, shares all that it can.
    """
    least, most = np.maximum(claim + held - 1, 0.0), np.minimum(claim, held)
    return np.asarray(most if least.sum() > most.sum() / 2 else least)


def cells_of(
    weights: sparse.csr_matrix, shape: Shape, spacing: np.ndarray, fwhm: float | None
) -> Cells:
    """Cells of regions (region, voxel); with a point spread (FWHM in mm) also their shells."""
    disjoint, shares = cut(weights)
    count = weights.shape[0]
    if fwhm is not None and count:
        ends = [end * fwhm for end in SHELLS]
        around = shells(disjoint, shape, spacing, ends, float(fwhm**3 / np.prod(spacing)))
        disjoint = sparse.csr_matrix(sparse.vstack([disjoint, around], format="csr"))
    held = np.asarray(disjoint.sum(axis=1)).ravel()
    whole = np.zeros((count + 1, held.size + 1))
    whole[:count, :count] = shares
    whole[count, count:] = 1.0
    rest = max(weights.shape[1] - held.sum(), 0.0)
    volume = np.append(held, rest if rest > ROUNDING * weights.shape[1] else 0.0)
    return Cells(weights=disjoint, volume=volume, shares=whole)


def shells(
    cells: sparse.csr_matrix,
    shape: Shape,
    spacing: np.ndarray,
    ends: Sequence[float],
    smallest: float,
) -> sparse.csr_matrix:
    """The rest up to `ends` mm from a cell, each voxel to the nearest cell (shell, voxel).

    A shell of less than `smallest` voxels (one resolution element) tells nothing: left out.
    """
    from scipy.ndimage import distance_transform_edt  # here, since metrics import this module

    count, size = cells.shape
    free = np.maximum(1 - np.asarray(cells.sum(axis=0)).ravel(), 0.0)
    free[free < ROUNDING] = 0.0
    nearest = np.full(size, np.inf)
    owner = np.full(size, -1)
    # Of two equally near the smaller, so that the order of regions does not matter.
    for n in np.argsort(np.asarray(cells.sum(axis=1)).ravel(), kind="stable"):
        box = box_of(cells[n], shape, np.ceil(ends[-1] / spacing))
        if box is None:
            continue
        away = distance_transform_edt(crop_of(cells[n], shape, box) == 0, sampling=spacing)
        near = np.flatnonzero(away <= ends[-1])
        inside = np.unravel_index(near, away.shape)
        flat = np.ravel_multi_index([p + b.start for p, b in zip(inside, box, strict=True)], shape)
        closer = away.ravel()[near] < nearest[flat]
        nearest[flat[closer]] = away.ravel()[near][closer]
        owner[flat[closer]] = n
    owned = np.flatnonzero((owner >= 0) & (free > 0))
    layer = np.searchsorted(ends, nearest[owned])
    places = (layer * count + owner[owned], owned)
    rows = sparse.csr_matrix((free[owned], places), shape=(len(ends) * count, size))
    return rows[np.asarray(rows.sum(axis=1)).ravel() >= max(smallest, 1.0)]


def moves(
    cells: sparse.csr_matrix, blurred: sparse.csr_matrix, shape: Shape, spacing: np.ndarray
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Change of each cell's weights per mm when it moves along i, j, k or grows: four rows a cell.

    Growth moves the border outwards: the length of the weights' gradient. A border between two
    cells is one border and is moved with the smaller of the two. The second matrix is the first
    over 1 - B w: times a neighbour's blurred weights, it is what that neighbour gives.
    """
    size = cells.shape[1]
    volume = np.asarray(cells.sum(axis=1)).ravel()
    smaller = np.zeros(size)
    changes = [sparse.csr_matrix((4, size))] * volume.size
    given = list(changes)
    for n in np.argsort(volume, kind="stable"):
        # Two voxels, so that one-sided slopes at the box's faces are zero.
        box = box_of(cells[n], shape, np.full(3, 2.0))
        if box is None:
            continue
        others = np.maximum(1 - _dense(blurred[n], shape, box), 0.0)
        floor = np.maximum(others, FEW)
        own = np.clip(1 - smaller.reshape(shape)[box] / floor, 0.0, 1.0) / floor
        slopes = _slopes(crop_of(cells[n], shape, box), spacing)
        # Where there is no neighbour nothing is exchanged, so that what is taken is given.
        changes[n] = sparse.vstack([row_of(slope * own * others, shape, box) for slope in slopes])
        given[n] = sparse.vstack([row_of(slope * own, shape, box) for slope in slopes])
        smaller[blurred[n].indices] += blurred[n].data
    return (
        sparse.csr_matrix(sparse.vstack(changes, format="csr")),
        sparse.csr_matrix(sparse.vstack(given, format="csr")),
    )


def _slopes(crop: np.ndarray, spacing: np.ndarray) -> list[np.ndarray]:
    """Gradient along three axes, per mm, and its length."""
    slopes = [
        np.gradient(crop, spacing[axis], axis=axis) if crop.shape[axis] > 1 else 0 * crop
        for axis in range(3)
    ]
    return [*slopes, np.sqrt(sum(slope**2 for slope in slopes))]


def _dense(row: sparse.csr_matrix, shape: Shape, box: Box) -> np.ndarray:
    return np.asarray(row.toarray().reshape(shape)[box])
