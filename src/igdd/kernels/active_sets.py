"""Which terms a fit needs: columns and exponentials whose coefficients may not be negative.

The search says where to begin and which columns to begin with; Newton's method goes on from there.
A column whose coefficient turns negative and must not is left out; one that was left out comes back
where the residual asks for it. Two exponentials are tried together; where they fall into one, that
one is the answer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from igdd.kernels.basis_search import Lanes, Search, next_place
from igdd.kernels.response_table import (
    INLINE,
    PARTS,
    Tables,
    Work,
    dot,
    evaluate,
)
from igdd.kernels.variable_projection import (
    BEATEN,
    STALLED,
    descend,
    project,
)

PLACES = 3  # of the search from which fits begin
HIDDEN = 1.5  # how wrong the grid may be about a fit, over how wrong it was about another
# A second exponential must lower the sum of squares by this share of it, and add to the curve this
# share: less is the tables' own error.
WORTH = 1e-12
WEIGHT = 1e-7
# A column that must not be negative is left out where it adds less than this share of the curve;
# the second: beside a delay. At 0 a column of blood and a shift of the input are one and the same.
IDLE = 1e-7, 1e-5
UPRIGHT = 1e-7  # cosine between residual and column below which the column has nothing to add


@njit(**INLINE)
def _use(tables: Tables, work: Work, mask: int, exponentials: int) -> None:
    """Set which columns and exponentials are in the fit."""
    fixed = tables.columns.shape[1]
    for column in range(fixed):
        work.use[column] = (mask >> column) & 1
        work.coefficients[column] = 0.0
        if not np.isnan(tables.given[column]):
            work.use[column] = 2
            work.coefficients[column] = tables.given[column]
    for j in range(work.use.size - fixed):
        work.use[fixed + j] = j < exponentials
        work.coefficients[fixed + j] = 0.0


@njit(**INLINE)
def _addition(tables: Tables, search: Search, work: Work) -> bool:
    """Put the second exponential where it would lower the sum of squares most beside the first."""
    residual = work.rows.shape[0] - 1
    delay, late = work.place[work.place.size - 1], 0
    for one in range(search.delays.size):
        if abs(search.delays[one] - delay) < abs(search.delays[late] - delay):
            late = one
    best, found = 1e-12 * np.sqrt(dot(work.rows, residual, residual)), False
    for node in range(search.nodes.size):
        height = 0.0
        for i in range(work.rows.shape[1]):
            height += search.rows[late, node, i] * work.rows[residual, i]
        if height > best and abs(search.nodes[node] - work.place[0]) > tables.grid[0]:
            best, found = height, True
            work.place[1] = search.nodes[node]
    return found


@njit(**INLINE)
def _change_columns(tables: Tables, work: Work, mask: int, tried: np.ndarray) -> int:
    """The mask without the column that adds least, or less than nothing, or with one that the
    residual asks for.

    tried  (2, l) which were left out and taken in before: neither happens twice
    """
    residual, changed = work.rows.shape[0] - 1, -1
    least = IDLE[int(tables.responses.shape[2] == 4)]
    for column in range(tables.columns.shape[1]):
        if work.use[column] != 1 or not tables.positive[column]:
            continue
        row = PARTS * column
        share = work.coefficients[column] * np.sqrt(dot(work.rows, row, row)) * work.scale[0]
        if share < least:
            changed, least = column, share
    if changed >= 0:
        tried[0, changed] = True
        return mask & ~(1 << changed)
    for column in range(tables.columns.shape[1]):
        untried = work.use[column] == 0 and not tried[0, column] and not tried[1, column]
        if not untried:
            continue
        row = PARTS * column
        along = dot(work.rows, residual, row) ** 2
        size = dot(work.rows, residual, residual) * dot(work.rows, row, row)
        if dot(work.rows, residual, row) > 0 and along > UPRIGHT**2 * size:
            tried[1, column] = True
            return mask | (1 << column)
    return mask


@njit(**INLINE)
def _weaker(work: Work, fixed: int) -> int:
    """Which of two exponentials adds nothing to the curve; -1: neither."""
    for j in range(2):
        row = PARTS * (fixed + j)
        size = abs(work.coefficients[fixed + j]) * np.sqrt(dot(work.rows, row, row))
        if size * work.scale[0] < WEIGHT:
            return j
    return -1


@njit(**INLINE)
def _fit_from(
    tables: Tables,
    search: Search,
    work: Work,
    curve: np.ndarray,
    begin: tuple[int, int, float],
) -> tuple[float, int]:
    """The best fit near the work's place whose coefficients are allowed: its square and outcome.

    begin  mask of the columns, how many exponentials, and the square of the best fit so far: one
           that cannot beat it is left half done

    A pair of exponentials that ends nowhere gives way to one; to one a second is added once.
    """
    fixed, size = tables.columns.shape[1], work.place.size
    mask, count, record = begin
    work.tried[:] = False
    kept = work.vectors[4]
    squares, outcome, kept_mask, kept_count = np.inf, STALLED, -1, 0
    added, ended, before = size == 2, True, -1
    for _ in range(12):
        _use(tables, work, mask, count)
        reached, settled = descend(tables, work, curve, record)
        if settled == BEATEN and kept_mask < 0:
            return reached, BEATEN
        if kept_mask >= 0 and ended:
            return squares, outcome
        other = _change_columns(tables, work, mask, work.tried)
        if other != mask and reached < np.inf:
            before, mask = mask, other
            continue
        if not reached < np.inf and before >= 0:
            # The column that came back is a sum of the others.
            mask, before = before, -1
            continue
        weak = _weaker(work, fixed) if count == 2 else -1
        enough = squares * (1 + WORTH) + (WEIGHT / work.scale[0]) ** 2
        better = reached < squares * (1 - WORTH) and (weak < 0 or kept_count != 1)
        better |= count < kept_count and reached <= enough
        if better or kept_mask < 0:
            squares, outcome, kept_mask, kept_count = reached, settled, mask, count
            kept[:size] = work.place
        ended = True
        if count == 2 and (settled == STALLED or weak >= 0) and not added:
            added = weak >= 0
            if weak < 0:
                weak = int(work.coefficients[fixed] > work.coefficients[fixed + 1])
            work.place[0] = work.place[1 - weak]
            count, ended = 1, False
        elif count == 1 and not added:
            added = True
            if _addition(tables, search, work):
                count, ended = 2, False
        if ended:
            if kept_mask == mask and kept_count == count and reached == squares:
                return squares, outcome
            mask, count = kept_mask, kept_count
            work.place[:] = kept[:size]
    return squares, outcome


@njit(**INLINE)
def fit_terms(
    tables: Tables, found: tuple[Search, Lanes, int], work: Work, curve: np.ndarray
) -> tuple[float, int]:
    """The best fit from all places of a search that may lead to it; the work is left there.

    found  the search, what it found, and the lane of the curve
    """
    search, lanes, lane = found
    size = work.place.size
    best, outcome, here, least = np.inf, STALLED, True, -np.inf
    work.seen[:] = False
    for _ in range(PLACES):
        mask, count, seen = next_place(search, lanes, lane, work, least)
        if mask < 0:
            break
        squares, ended = _fit_from(tables, search, work, curve, (mask, count, best))
        here = squares < best
        if here:
            best, outcome = squares, ended
            work.vectors[5, :size] = work.place
            for k in range(work.use.size):
                work.kept_use[k] = work.use[k]
        # The grid may be somewhat more wrong about another place than about this one.
        left = squares * work.scale[0] ** 2
        least = max(least, 1 - left - HIDDEN * abs(1 - left - seen))
    if not here:
        work.place[:] = work.vectors[5, :size]
        for k in range(work.use.size):
            work.use[k] = work.kept_use[k]
            work.coefficients[k] = tables.given[k] if work.use[k] == 2 else 0.0
        evaluate(tables, work)
        project(curve, work)
    return best, outcome
