"""Which terms a fit needs: columns and exponentials whose coefficients may not be negative.

The search says where to begin and which columns to begin with; Newton's method goes on from there.
A column whose coefficient turns negative and must not is left out; one that was left out comes back
where the residual asks for it. Two exponentials are tried together; where they fall into one, that
one is the answer.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.basis_search import PLACES, Lanes, Search, next_place
from igdd.kernels.compiled import INLINE, LEAN, njit
from igdd.kernels.response_table import (
    BEST,
    KEPT,
    PARTS,
    Tables,
    Work,
    copy,
    dot,
    evaluate,
)
from igdd.kernels.variable_projection import (
    BEATEN,
    LEVEL,
    STALLED,
    curvature,
    descend,
    newton_step,
    project,
    slopes,
)

HIDDEN = 1.2  # how wrong the grid may be about a fit, over how wrong it was about another
# A second exponential must lower the sum of squares by this share of it, and add to the curve this
# share: less is the tables' own error.
WORTH = 1e-12
WEIGHT = 1e-7
# A column that must not be negative is left out where it adds less than this share of the curve;
# the second: beside a delay. At 0 a column of blood and a shift of the input are one and the same.
IDLE = 1e-7, 1e-5
BESIDE = 0.25  # of the longest step in delay: how far beside a saddle the way down is looked for
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


@njit(**LEAN)
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
def _leave_idle(
    tables: Tables, work: Work, curve: np.ndarray, mask: int, reached: float
) -> tuple[int, float]:
    """The mask without columns that must not be negative and are all but 0, and the square."""
    idle = mask
    for column in range(tables.columns.shape[1]):
        row, size = PARTS * column, abs(work.coefficients[column]) * work.scale[0]
        if work.use[column] != 1 or not tables.positive[column]:
            continue
        if size * np.sqrt(dot(work.rows, row, row)) < IDLE[int(tables.responses.shape[2] == 4)]:
            work.use[column], work.coefficients[column] = 0, 0.0
            work.tried[0, column] = True
            mask &= ~(1 << column)
    return mask, project(curve, work) if mask != idle else reached


@njit(**INLINE)
def _change_columns(tables: Tables, work: Work, mask: int, tried: np.ndarray) -> int:
    """The mask without its most negative column, or with one that the residual asks for.

    tried  (2, l) which were left out and taken in before: neither happens twice
    """
    residual, changed, worst = work.rows.shape[0] - 1, -1, 0.0
    for column in range(tables.columns.shape[1]):
        bound = work.use[column] == 1 and tables.positive[column]
        if bound and work.coefficients[column] < worst:
            changed, worst = column, work.coefficients[column]
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


@njit(**LEAN)
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
    kept = work.vectors[KEPT]
    squares, outcome, kept_mask, kept_count = np.inf, STALLED, -1, 0
    added, ended, before = size == 2, True, -1
    for _ in range(12):
        _use(tables, work, mask, count)
        reached, settled = descend(tables, work, curve, record)
        if settled == BEATEN and kept_mask < 0:
            return reached, BEATEN
        if kept_mask >= 0 and ended:
            return squares, outcome
        if reached < np.inf:
            mask, reached = _leave_idle(tables, work, curve, mask, reached)
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
            copy(kept, work.place, size)
        ended = True
        stuck = settled in (STALLED, LEVEL)
        if count == 2 and (stuck or weak >= 0) and not added:
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
            copy(work.place, kept, size)
    return squares, outcome


@njit(**LEAN)
def _put_back(tables: Tables, work: Work, curve: np.ndarray) -> None:
    """Put the work back to the best fit so far."""
    copy(work.place, work.vectors[BEST], work.place.size)
    for k in range(work.use.size):
        work.use[k] = work.kept_use[k]
        work.coefficients[k] = tables.given[k] if work.use[k] == 2 else 0.0
    evaluate(tables, work)
    project(curve, work)


@njit(**INLINE)
def _vanished(tables: Tables, work: Work) -> int:
    """The column that is left out of a fit and might come back beside another delay; -1: none."""
    found = -1
    for column in range(tables.columns.shape[1]):
        if work.use[column] == 0 and tables.positive[column]:
            found = column
    return found if tables.responses.shape[2] == 4 else -1


@njit(**LEAN)
def _leave_saddle(
    tables: Tables, work: Work, curve: np.ndarray, vanished: int, way: int
) -> tuple[int, int]:
    """Put the work beside a fit that is a saddle: all its columns with the one that vanished, and
    how many exponentials. The mask is -1 where it is a minimum.

    Where a column of blood is 0, a shift of the input is a sum of the other columns: the slope by
    the delay is 0, too, be the place a minimum or a saddle, and the residual does not ask for the
    column. From a saddle the way down leads to where its coefficient is above 0.
    """
    last, fixed, saddle, count = work.place.size - 1, tables.columns.shape[1], False, 0
    work.use[vanished] = 1
    if project(curve, work) < np.inf:
        slopes(tables, work)
        curvature(tables, work)
        saddle = work.moving[last] and not newton_step(work, 0.0)
    if not saddle:
        work.use[vanished], work.coefficients[vanished] = 0, 0.0
        project(curve, work)
        return -1, 0
    work.place[last] += way * BESIDE * tables.grid[5]
    mask = 0
    for k in range(work.use.size):
        if k < fixed:
            mask |= int(work.use[k] == 1) << k
        else:
            count += int(work.use[k] == 1)
    return mask, count


@njit(**LEAN)
def fit_terms(
    tables: Tables, found: tuple[Search, Lanes, int], work: Work, curve: np.ndarray
) -> tuple[float, int]:
    """The best fit from all places of a search that may lead to it; the work is left there.

    found  the search, what it found, and the lane of the curve
    """
    search, lanes, lane = found
    best, outcome, here, least, rank, way = np.inf, STALLED, True, -np.inf, 0, -1
    while True:
        mask, count, seen = -1, 0, 0.0
        if rank < PLACES:
            mask, count, seen = next_place(search, lanes, lane, work, rank, least)
            rank += 1
        if mask < 0:
            rank = PLACES
            if not here:
                _put_back(tables, work, curve)
            vanished = _vanished(tables, work) if best < np.inf and way <= 1 else -1
            if vanished >= 0:
                mask, count = _leave_saddle(tables, work, curve, vanished, way)
                way += 2
            if mask < 0:
                return best, outcome
        squares, ended = _fit_from(tables, search, work, curve, (mask, count, best))
        here = squares < best
        if here:
            best, outcome = squares, ended
            copy(work.vectors[BEST], work.place, work.place.size)
            for k in range(work.use.size):
                work.kept_use[k] = work.use[k]
        # The grid may be somewhat more wrong about another place than about this one.
        over = 1 - squares * work.scale[0] ** 2
        least = max(least, over - HIDDEN * abs(over - seen))
