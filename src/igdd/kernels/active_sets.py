"""Which terms a fit needs, its result and its covariance: many curves, one after the other.

The search says where to begin and which columns to begin with; Newton's method goes on from there.
A column whose coefficient turns negative and must not is left out; one that was left out comes back
where the residual asks for it. Two exponentials are tried together; where they fall into one, that
one is the answer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from igdd.kernels.basis_search import climb, survey
from igdd.kernels.judge import AT_BOUND, NOT_CONVERGED, NOT_FITTED, POORLY_IDENTIFIED
from igdd.kernels.response_table import (
    JIT,
    PARTS,
    SUMS,
    Tables,
    Work,
    dot,
    evaluate,
    room,
)
from igdd.kernels.variable_projection import (
    CONVERGED,
    STALLED,
    descend,
    factorise,
    forward,
    project,
    slopes,
)

# Condition of the information matrix at unit length, as the trace of its inverse.
CONDITION = 1e9
PLACES = 3  # of the search from which fits begin
HIDDEN = 3.0  # how much better a fit may be than the grid shows, over how much another one was
# A second exponential must lower the sum of squares by this share of it, and add to the curve this
# share: less is the tables' own error.
WORTH = 1e-12
WEIGHT = 1e-7
UPRIGHT = 1e-7  # cosine between residual and column below which the column has nothing to add


@njit(**JIT)
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


@njit(**JIT)
def _addition(tables: Tables, work: Work) -> bool:
    """Put the second exponential where it would lower the sum of squares most beside the first."""
    fixed, residual = tables.columns.shape[1], work.rows.shape[0] - 1
    delay, late = work.place[work.place.size - 1], 0
    for one in range(tables.delays.size):
        if abs(tables.delays[one] - delay) < abs(tables.delays[late] - delay):
            late = one
    best, found = 1e-12 * np.sqrt(dot(work.rows, residual, residual)), False
    for node in range(tables.nodes.size):
        height = 0.0
        for i in range(work.rows.shape[1]):
            height += tables.rows[late, fixed + node, i] * work.rows[residual, i]
        if height > best and abs(tables.nodes[node] - work.place[0]) > tables.grid[0]:
            best, found = height, True
            work.place[1] = tables.nodes[node]
    return found


@njit(**JIT)
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


@njit(**JIT)
def _weaker(work: Work, fixed: int) -> int:
    """Which of two exponentials adds nothing to the curve; -1: neither."""
    for j in range(2):
        row = PARTS * (fixed + j)
        size = abs(work.coefficients[fixed + j]) * np.sqrt(dot(work.rows, row, row))
        if size * work.scale[0] < WEIGHT:
            return j
    return -1


@njit(**JIT)
def _fit_from(
    tables: Tables, work: Work, curve: np.ndarray, mask: int, count: int
) -> tuple[float, int]:
    """The best fit near the work's place whose coefficients are allowed: its square and outcome.

    A pair of exponentials that ends nowhere gives way to one; to one a second is added once.
    """
    fixed, size = tables.columns.shape[1], work.place.size
    work.tried[:] = False
    kept = work.vectors[4]
    squares, outcome, kept_mask, kept_count = np.inf, STALLED, -1, 0
    added, ended, before = size == 2, True, -1
    for _ in range(12):
        _use(tables, work, mask, count)
        reached, settled = descend(tables, work, curve)
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
            if _addition(tables, work):
                count, ended = 2, False
        if ended:
            if kept_mask == mask and kept_count == count and reached == squares:
                return squares, outcome
            mask, count = kept_mask, kept_count
            work.place[:] = kept[:size]
    return squares, outcome


@njit(**JIT)
def _fit(tables: Tables, work: Work, curve: np.ndarray, products: np.ndarray) -> tuple[float, int]:
    """The best fit from all places of the search that may lead to it; the work is left there."""
    size, fixed = work.place.size, tables.columns.shape[1]
    every = 0
    for column in range(fixed):
        if np.isnan(tables.given[column]):
            every |= 1 << column
    survey(tables, work, products, every)
    best, outcome, here, least = np.inf, STALLED, True, -np.inf
    for _ in range(PLACES):
        mask, count, seen = climb(tables, work, curve, products, least)
        if mask < 0:
            break
        squares, ended = _fit_from(tables, work, curve, mask, count)
        here = squares < best
        if here:
            best, outcome = squares, ended
            work.vectors[5, :size] = work.place
            for k in range(work.use.size):
                work.kept_use[k] = work.use[k]
        # Another place may hide somewhat more than this one did.
        left = squares * work.scale[0] ** 2
        least = max(least, 1 - left - HIDDEN * (1 - left - seen))
    if not here:
        work.place[:] = work.vectors[5, :size]
        for k in range(work.use.size):
            work.use[k] = work.kept_use[k]
            work.coefficients[k] = tables.given[k] if work.use[k] == 2 else 0.0
        evaluate(tables, work)
        project(curve, work)
    return best, outcome


@njit(**JIT)
def _information(work: Work) -> int:
    """Products of the curve's sensitivities to all that was fitted, at unit length, in matrices[0].

    How many; their rows and places in the canonical parameters go to names, lengths to vectors[6].
    """
    rows, terms, unknowns = work.rows, work.use.size, work.place.size
    fixed, count = terms - (unknowns - 1), 0
    source, names, size = work.names[0], work.names[1], work.vectors[6]
    for k in range(terms):
        if work.use[k] == 1:
            source[count] = PARTS * k
            names[count] = k if k < fixed else fixed + 2 * (k - fixed)
            count += 1
    for x in range(unknowns):
        if work.moving[x]:
            source[count] = PARTS * terms + x
            names[count] = fixed + 2 * x + 1 if x < unknowns - 1 else terms + unknowns - 1
            count += 1
    products = work.matrices[0]
    for i in range(count):
        size[i] = np.sqrt(dot(rows, source[i], source[i]))
        size[i] = size[i] if size[i] > 0 else 1.0
        for j in range(i + 1):
            products[i, j] = dot(rows, source[i], source[j]) / (size[i] * size[j])
    return count


@njit(**JIT)
def _covary(tables: Tables, work: Work, covariance: np.ndarray) -> tuple[int, float]:
    """Inverse information of the canonical parameters; how many were fitted, and the condition."""
    unknowns, terms = work.place.size, work.use.size
    fixed = terms - (unknowns - 1)
    names, size = work.names[1], work.vectors[6]
    count = _information(work)
    if factorise(work.matrices[0], count, work.matrices[1]) == 0.0:
        covariance[:] = np.nan
        return count, np.inf
    for i in range(count):
        exponential = (names[i] - fixed) // 2
        if names[i] >= fixed and (names[i] - fixed) % 2 == 1 and exponential < unknowns - 1:
            # From u to theta = scale (exp(u) - 1).
            size[i] /= tables.grid[4] * np.exp(work.place[exponential])
    inverse, trace = work.matrices[2], 0.0
    for i in range(count):
        for j in range(count):
            inverse[i, j] = 1.0 if i == j else 0.0
        forward(work.matrices[1], count, inverse, i)
    for i in range(count):
        for j in range(count):
            total = 0.0
            for k in range(count):
                total += inverse[i, k] * inverse[j, k]
            trace += total if i == j else 0.0
            covariance[names[i], names[j]] = total / (size[i] * size[j])
    return count, trace


@njit(**JIT)
def _describe(
    tables: Tables, work: Work, canonical: np.ndarray, covariance: np.ndarray
) -> tuple[int, int]:
    """Canonical parameters and their inverse information; how many were fitted, and the status."""
    unknowns, terms = work.place.size, work.use.size
    fixed, status = terms - (unknowns - 1), 0
    slopes(tables, work)
    covariance[:] = 0.0
    fitted, condition = _covary(tables, work, covariance)
    if not condition <= CONDITION:
        status |= POORLY_IDENTIFIED
    top = tables.grid[0] * (tables.responses.shape[1] - 1)
    for k in range(terms):
        canonical[k if k < fixed else fixed + 2 * (k - fixed)] = work.coefficients[k]
        if work.use[k] == 0:
            status |= AT_BOUND
    for x in range(unknowns - 1):
        # The rate of an exponential that is left out is open: any but 0 will do.
        u = work.place[x] if work.use[fixed + x] else top / 2
        canonical[fixed + 2 * x + 1] = tables.grid[4] * np.expm1(u)
        if work.use[fixed + x] and (work.place[x] <= 0 or work.place[x] >= top):
            status |= AT_BOUND
    canonical[terms + unknowns - 1] = work.place[unknowns - 1]
    if tables.responses.shape[2] == 4 and (
        work.place[unknowns - 1] <= tables.grid[2] or work.place[unknowns - 1] >= tables.grid[3]
    ):
        status |= AT_BOUND
    return fitted, status


@njit(fastmath=SUMS, **JIT)
def project_onto(values: np.ndarray, basis: np.ndarray, found: np.ndarray) -> None:
    """values (m,) times basis (m, k) into `found` (k,); a threaded product would cost its start."""
    found[:] = 0.0
    for i in range(values.size):
        amount = values[i]
        for k in range(found.size):
            found[k] += amount * basis[i, k]


@njit(**JIT)
def fit_all(
    tables: Tables, curves: np.ndarray, bases: tuple[np.ndarray, ...], exponentials: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Canonical parameters (n, p), covariance (n, p, p) and status (n,) of curves (n, t).

    bases  squares of the weights (t,), and the basis (t, r) that curves are seen on

    The order is c_1 .. c_l, a_1, theta_1, (a_2, theta_2,) d. Covariances are scaled by the residual
    variance; parameters at a bound have variance 0.
    """
    weights, projection = bases
    count, frames = curves.shape
    total = tables.columns.shape[1] + 2 * exponentials + 1
    canonical = np.full((count, total), np.nan)
    covariance = np.full((count, total, total), np.nan)
    status = np.full(count, NOT_FITTED)
    work = room(tables, exponentials)
    middle = work.place.copy()
    seen = np.zeros(projection.shape[1])
    unit = np.zeros(seen.size, dtype=np.float32)
    products = np.zeros(tables.offsets.shape, dtype=np.float32)
    for row in range(count):
        square = 0.0
        for i in range(frames):
            square += weights[i] * curves[row, i] ** 2
        if not (square > 0 and square < np.inf):
            continue
        project_onto(curves[row], projection, seen)
        work.scale[0] = 1.0 / np.sqrt(square)
        for i in range(seen.size):
            unit[i] = seen[i] * work.scale[0]
        project_onto(unit, tables.seeker, products.ravel())
        work.place[:] = middle
        left, outcome = _fit(tables, work, seen, products)
        if not left < np.inf:
            continue
        fitted, said = _describe(tables, work, canonical[row], covariance[row])
        for i in range(seen.size):
            square -= seen[i] * seen[i]
        spare = frames - fitted
        covariance[row] *= (left + max(square, 0.0)) / spare if spare > 0 else np.nan
        status[row] = said | (0 if outcome == CONVERGED else NOT_CONVERGED)
    return canonical, covariance, status


@njit(**JIT)
def sandwich(change: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """change covariance change' for change (n, p, k) and covariance (n, k, k): (n, p, p).

    A parameter without variance may have any slope, an infinite one too.
    """
    count, size, inner = change.shape
    found = np.empty((count, size, size))
    half = np.empty(inner)
    for row in range(count):
        for i in range(size):
            for k in range(inner):
                half[k] = 0.0
                for m in range(inner):
                    if covariance[row, m, k] != 0.0 and change[row, i, m] != 0.0:
                        half[k] += change[row, i, m] * covariance[row, m, k]
            for j in range(i + 1):
                total = 0.0
                for k in range(inner):
                    if half[k] != 0.0 and change[row, j, k] != 0.0:
                        total += half[k] * change[row, j, k]
                found[row, i, j] = found[row, j, i] = total
    return found


@njit(**JIT)
def predict_all(tables: Tables, canonical: np.ndarray, exponentials: int) -> np.ndarray:
    """Curves (n, r) of canonical parameters (n, p), rates beyond the table taken as its ends."""
    count, total = canonical.shape
    fixed, size = tables.columns.shape[1], tables.responses.shape[3]
    top = tables.grid[0] * (tables.responses.shape[1] - 1)
    curves = np.zeros((count, size))
    work = room(tables, exponentials)
    work.use[:] = 1
    for row in range(count):
        for j in range(exponentials):
            u = np.log1p(max(canonical[row, fixed + 2 * j + 1], 0.0) / tables.grid[4])
            work.place[j] = min(u, top)
        work.place[exponentials] = canonical[row, total - 1]
        evaluate(tables, work)
        for k in range(fixed + exponentials):
            amount = canonical[row, k if k < fixed else fixed + 2 * (k - fixed)]
            for i in range(size):
                curves[row, i] += amount * work.rows[PARTS * k, i]
    return curves
