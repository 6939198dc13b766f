"""Many curves fitted from one set of tables, one after the other, with covariance and status.

Each curve is projected, searched, fitted and described before the next one is looked at, so that
memory does not grow with their number.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.active_sets import fit_terms
from igdd.kernels.basis_search import LANES, Lanes, Search, lanes_of, survey
from igdd.kernels.cholesky import factorise, invert
from igdd.kernels.compiled import INLINE, JIT, LEAN, njit
from igdd.kernels.judge import (
    AT_BOUND,
    FOLLOWED,
    NOT_CONVERGED,
    NOT_FITTED,
    POORLY_IDENTIFIED,
    TOLD_APART,
)
from igdd.kernels.response_table import (
    BY_D,
    BY_U,
    PARTS,
    SCALES,
    STEP,
    SUMS,
    Tables,
    Work,
    dot,
    evaluate,
    put_in_the_middle,
    room,
)
from igdd.kernels.variable_projection import CONVERGED, LEVEL, slopes

# Condition of the information matrix at unit length, as the trace of its inverse.
CONDITION = 1e9


@njit(**INLINE)
def _list(tables: Tables, work: Work, wide: bool) -> int:
    """How many parameters were fitted; their rows in the work, their places in the canonical
    parameters, and whether they were fitted go to names.

    wide  whether to take in what lies at a bound
    """
    terms, unknowns = work.use.size, work.place.size
    fixed, count = terms - (unknowns - 1), 0
    top = tables.grid[0] * (tables.responses.shape[1] - 1)
    source, names, fitted = work.names[0], work.names[1], work.names[2]
    for k in range(terms):
        if work.use[k] == 1 or (wide and work.use[k] == 0 and k < fixed):
            source[count], fitted[count] = PARTS * k, work.use[k]
            names[count] = k if k < fixed else fixed + 2 * (k - fixed)
            count += 1
    for x in range(unknowns):
        sought = tables.responses.shape[2] == 4
        if x < unknowns - 1:
            # Beyond the end of the table a rate has no effect, and no error either.
            sought = work.use[fixed + x] == 1 and work.place[x] < top
        if work.moving[x] or (wide and sought):
            source[count], fitted[count] = PARTS * terms + x, work.moving[x]
            names[count] = fixed + 2 * x + 1 if x < unknowns - 1 else terms + unknowns - 1
            count += 1
    return count


@njit(**INLINE)
def _information(work: Work, count: int) -> None:
    """Products of the curve's sensitivities to what is listed, at unit length, in matrices[0]; what
    brings them to that length goes to vectors[SCALES]."""
    rows, source, scale, products = work.rows, work.names[0], work.vectors[SCALES], work.matrices[0]
    for i in range(count):
        square = dot(rows, source[i], source[i])
        scale[i] = 1.0 / np.sqrt(square) if square > 0 else 1.0
        products[i, i] = 1.0 if square > 0 else 0.0
        for j in range(i):
            products[i, j] = dot(rows, source[i], source[j]) * (scale[i] * scale[j])


@njit(**INLINE)
def _invert(tables: Tables, work: Work, count: int, covariance: np.ndarray) -> float:
    """Inverse of the information of the canonical parameters; the trace at unit length."""
    unknowns, terms = work.place.size, work.use.size
    fixed = terms - (unknowns - 1)
    names, scale, inverse = work.names[1], work.vectors[SCALES], work.matrices[2]
    covariance[:] = 0.0
    if factorise(work.matrices[0], count, work.matrices[1]) == 0.0:
        return np.inf
    for i in range(count):
        exponential = (names[i] - fixed) // 2
        if names[i] >= fixed and (names[i] - fixed) % 2 == 1 and exponential < unknowns - 1:
            # From u to theta = scale (exp(u) - 1).
            scale[i] *= tables.grid[4] * np.exp(work.place[exponential])
    invert(work.matrices[1], count, inverse)
    trace = 0.0
    for i in range(count):
        for j in range(i + 1):
            total = 0.0
            for k in range(i, count):
                total += inverse[k, i] * inverse[k, j]
            trace += total if i == j else 0.0
            total *= scale[i] * scale[j]
            covariance[names[i], names[j]] = covariance[names[j], names[i]] = total
    return trace


@njit(**INLINE)
def _covary(tables: Tables, work: Work, covariance: np.ndarray) -> tuple[int, float]:
    """Inverse information of the canonical parameters; how many were fitted, and the condition.

    What lies at a bound has a part in it if it can be told from the rest, and else the condition is
    infinite: see `igdd.kernels.levenberg`.
    """
    near, fitted, trace = work.vectors[STEP], 0, 0.0
    for attempt in range(3):
        count = _list(tables, work, attempt == 1)
        if attempt == 1 and count == fitted:
            break
        _information(work, count)
        reached = _invert(tables, work, count, covariance)
        if attempt == 0:
            fitted, trace = count, reached
            if reached == np.inf:
                covariance[:] = np.nan
                break
            for i in range(count):
                near[work.names[1, i]] = covariance[work.names[1, i], work.names[1, i]]
        elif attempt == 1:
            told = reached < np.inf
            for i in range(count):
                one = work.names[1, i]
                told &= not work.names[2, i] or covariance[one, one] <= TOLD_APART**2 * near[one]
            if told:
                break
            trace = np.inf
    return fitted, trace


@njit(**LEAN)
def _describe(
    tables: Tables, work: Work, canonical: np.ndarray, covariance: np.ndarray
) -> tuple[int, int]:
    """Canonical parameters and their inverse information; how many were fitted, and the status."""
    unknowns, terms = work.place.size, work.use.size
    fixed, status = terms - (unknowns - 1), 0
    slopes(tables, work)
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


@njit(fastmath=SUMS, **INLINE)
def _see(
    curves: np.ndarray,
    bases: tuple[np.ndarray, np.ndarray],
    seen: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Curves on the basis, and their weighted squares; 0 where there is no curve."""
    weights, projection = bases
    squares[:] = 0.0
    for lane in range(len(curves)):
        for k in range(seen.shape[1]):
            seen[lane, k] = 0.0
        for i in range(curves.shape[1]):
            value = curves[lane, i]
            squares[lane] += weights[i] * value**2
            for k in range(seen.shape[1]):
                seen[lane, k] += value * projection[i, k]


@njit(fastmath=SUMS, **INLINE)
def _count_runs(
    work: Work,
    curve: np.ndarray,
    bases: tuple[np.ndarray, np.ndarray],
    seen: np.ndarray,
    runs: np.ndarray,
) -> None:
    """Frames above and below the fit, and the runs that they stand in, of a curve (t,) that is seen
    as (r,); left as they are where there is nothing left to explain.

    As `igdd.kernels.judge.residual_runs`.
    """
    weights, projection = bases
    fit, residual = work.between[0], work.rows[work.rows.shape[0] - 1]
    for k in range(seen.size):
        fit[k] = seen[k] - residual[k]
    left, whole, above, count, before = 0.0, 0.0, 0, 0, -1
    for i in range(curve.size):
        expected = 0.0
        for k in range(seen.size):
            expected += projection[i, k] * fit[k]
        away = weights[i] * curve[i] - expected
        positive = int(away > 0)
        above += positive
        count += positive != before
        before = positive
        left += (away / weights[i]) ** 2
        whole += curve[i] ** 2
    if left > FOLLOWED**2 * whole:
        runs[0], runs[1], runs[2] = above, curve.size - above, count


@njit(**JIT)
def fit_all(
    tables: Tables,
    search: Search,
    curves: np.ndarray,
    bases: tuple[np.ndarray, np.ndarray],
    exponentials: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Canonical parameters (n, p), covariance (n, p, p), status (n,) of curves (n, t), and in how
    many frames (n, 3) they lie above their fit, below it, and in how many runs; 0, 0, 1: not known.

    bases  squares of the weights (t,), and the basis (t, r) that curves are seen on

    The order is c_1 .. c_l, a_1, theta_1, (a_2, theta_2,) d. Covariances are scaled by the residual
    variance; what lies at a bound has a part in them where it can be told from the rest.
    """
    count, total = len(curves), tables.columns.shape[1] + 2 * exponentials + 1
    canonical = np.full((count, total), np.nan)
    covariance = np.full((count, total, total), np.nan)
    status = np.full(count, NOT_FITTED)
    runs = np.zeros((count, 3), dtype=np.int64)
    runs[:, 2] = 1
    found = canonical, covariance, status, runs
    seen = np.zeros((LANES, bases[1].shape[1])), np.zeros(LANES)
    rooms = room(tables, exponentials), lanes_of(search)
    _fit_each(tables, search, curves, (bases, seen), rooms, found)
    return found


@njit(**LEAN)
def _fit_each(
    tables: Tables,
    search: Search,
    curves: np.ndarray,
    views: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    rooms: tuple[Work, Lanes],
    found: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Fill what `fit_all` finds: canonical parameters, covariance, status and runs.

    views  the bases, and room for what LANES curves are on them
    """
    (bases, (seen, squares)), (work, lanes) = views, rooms
    canonical, covariance, status, runs = found
    exponentials, frames = work.place.size - 1, curves.shape[1]
    for row in range(len(curves)):
        if row % LANES == 0:
            _see(curves[row : row + LANES], bases, seen, squares)
            for lane in range(LANES):
                scale = 1.0 / np.sqrt(squares[lane]) if 0 < squares[lane] < np.inf else 0.0
                lanes.scales[lane] = scale
                for i in range(seen.shape[1]):
                    lanes.units[i, lane] = seen[lane, i] * scale if scale > 0 else 0.0
            survey(search, lanes, exponentials)
        lane = row % LANES
        square, curve = squares[lane], seen[lane]
        if not 0 < square < np.inf:
            continue
        work.scale[0] = 1.0 / np.sqrt(square)
        put_in_the_middle(tables, work.place)
        left, outcome = fit_terms(tables, (search, lanes, lane), work, curve)
        if not left < np.inf:
            continue
        fitted, said = _describe(tables, work, canonical[row], covariance[row])
        for i in range(curve.size):
            square -= curve[i] * curve[i]
        spare = frames - fitted
        variance = (left + max(square, 0.0)) / spare if spare > 0 else np.nan
        for i in range(covariance.shape[1]):
            for j in range(covariance.shape[2]):
                covariance[row, i, j] *= variance
        _count_runs(work, curves[row], bases, curve, runs[row])
        settled = outcome in (CONVERGED, LEVEL)
        status[row] = said | (0 if settled else NOT_CONVERGED)


@njit(**JIT)
def sandwich(change: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """change covariance change' for change (n, p, k) and covariance (n, k, k): (n, p, p).

    A parameter without variance may have any slope, an infinite one too.
    """
    count, size, inner = change.shape
    found = np.empty((count, size, size))
    slopes_of, half = np.empty((size, inner)), np.empty(inner)
    for row in range(count):
        for k in range(inner):
            known = covariance[row, k, k] != 0.0
            for i in range(size):
                slopes_of[i, k] = change[row, i, k] if known else 0.0
        for i in range(size):
            half[:] = 0.0
            for m in range(inner):
                for k in range(inner):
                    half[k] += slopes_of[i, m] * covariance[row, m, k]
            for j in range(i + 1):
                total = 0.0
                for k in range(inner):
                    total += half[k] * slopes_of[j, k]
                found[row, i, j] = found[row, j, i] = total
    return found


@njit(**JIT)
def predict_all(tables: Tables, canonical: np.ndarray, exponentials: int) -> np.ndarray:
    """Curves and their derivatives by the canonical parameters, (n, r, 1 + p), from those (n, p).

    A rate beyond the table is taken as the end of it, where nothing depends on it any more.
    """
    count, total = canonical.shape
    fixed, size = tables.columns.shape[1], tables.responses.shape[3]
    top = tables.grid[0] * (tables.responses.shape[1] - 1)
    found = np.zeros((count, size, 1 + total))
    work = room(tables, exponentials)
    work.use[:] = 1
    for row in range(count):
        for j in range(exponentials):
            u = np.log1p(max(canonical[row, fixed + 2 * j + 1], 0.0) / tables.grid[4])
            work.place[j] = min(u, top)
        work.place[exponentials] = canonical[row, total - 1]
        evaluate(tables, work)
        for k in range(fixed + exponentials):
            name, part = k if k < fixed else fixed + 2 * (k - fixed), PARTS * k
            amount = canonical[row, name]
            for i in range(size):
                found[row, i, 0] += amount * work.rows[part, i]
                found[row, i, 1 + name] = work.rows[part, i]
                found[row, i, total] += amount * work.rows[part + BY_D, i]
            if k < fixed or work.place[k - fixed] >= top:
                continue
            rate = amount / (tables.grid[4] * np.exp(work.place[k - fixed]))
            for i in range(size):
                found[row, i, 2 + name] = rate * work.rows[part + BY_U, i]
    return found
