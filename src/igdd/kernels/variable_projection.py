"""The best place of a fit from tables: variable projection and Newton's method.

For given (u, d) of `igdd.kernels.response_table` the coefficients follow by linear least squares;
what is left is a function of u and d alone, whose minimum Newton's method finds with the exact
second derivatives of the interpolated table.
Golub and Pereyra, SIAM J Numer Anal 1973;10:413.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.cholesky import backward, factorise, forward
from igdd.kernels.compiled import INLINE, LEAN, njit
from igdd.kernels.response_table import (
    BY_D,
    BY_DD,
    BY_U,
    BY_UD,
    BY_UU,
    DOWNHILL,
    ON_NODE,
    ORIGIN,
    PARTS,
    RIGHT,
    STEP,
    Tables,
    Work,
    add,
    copy,
    dot,
    evaluate,
)

CONVERGED, STALLED, BEATEN, LEVEL = 0, 1, 2, 3
MOST_STEPS = 80
# A Newton step of this length leaves an error of its square; the second: beside a delay, where 1e-5
# of a rate is a hundredth of what is promised.
NEWTON_STEP = 1e-5, 3e-3
# Share of the sum of squares by which the last step lowered it: what is left of a valley as level
# as that, hundreds of such steps, is below a hundredth of a standard error.
FELL = 1e-9
SHORTEST_STEP = 1e-9  # below which nothing but rounding keeps a step from being downhill
# What a step could still gain over the sum of squares: so little is 1e-7 standard errors from the
# minimum, and 1e-6 beside a delay.
SETTLED = 1e-16, 1e-14
HOPE = 4.0  # how much more a fit may gain than its Newton step promises
LONGEST_STEP = 1.0  # in u
STIFF = 1e10
SKEW = 1e-4  # below which the coefficients are worth a second round against rounding


@njit(**INLINE)
def project(curve: np.ndarray, work: Work) -> float:
    """Coefficients and residual of the columns in use; the residual's square, or infinity."""
    free, rows, residual = 0, work.rows, work.rows.shape[0] - 1
    copy(rows[residual], curve, curve.size)
    for k in range(work.use.size):
        if work.use[k] == 1:
            work.order[free] = k
            free += 1
            work.coefficients[k] = 0.0
        elif work.use[k] == 2:
            add(rows, residual, -work.coefficients[k], PARTS * k)
    for i in range(free):
        for j in range(i + 1):
            work.factor[i, j] = dot(rows, PARTS * work.order[i], PARTS * work.order[j])
    least = factorise(work.factor, free, work.factor)
    if least == 0.0:
        return np.inf
    for _ in range(1 if least > SKEW else 2):
        for i in range(free):
            work.vectors[RIGHT, i] = dot(rows, PARTS * work.order[i], residual)
        forward(work.factor, free, work.vectors, RIGHT)
        backward(work.factor, free, work.vectors, RIGHT)
        for i in range(free):
            work.coefficients[work.order[i]] += work.vectors[RIGHT, i]
            add(rows, residual, -work.vectors[RIGHT, i], PARTS * work.order[i])
    square: float = dot(rows, residual, residual)
    return square


@njit(**INLINE)
def slopes(tables: Tables, work: Work) -> float:
    """Derivatives of the curve, the downhill slopes, and which unknowns move; the steepest."""
    rows, terms, unknowns = work.rows, work.use.size, work.place.size
    fixed, first, residual = terms - (unknowns - 1), PARTS * terms, work.rows.shape[0] - 1
    delayed = tables.responses.shape[2] == 4
    steepest = 0.0
    for x in range(unknowns):
        for i in range(rows.shape[1]):
            rows[first + x, i] = 0.0
        low, high = 0.0, tables.grid[0] * (tables.responses.shape[1] - 1)
        if x < unknowns - 1:
            work.moving[x] = work.use[fixed + x] == 1
            if work.moving[x]:
                add(rows, first + x, work.coefficients[fixed + x], PARTS * (fixed + x) + BY_U)
        else:
            low, high = tables.grid[2], tables.grid[3]
            work.moving[x] = delayed
            for k in range(terms):
                if delayed and work.use[k] != 0:
                    add(rows, first + x, work.coefficients[k], PARTS * k + BY_D)
        downhill = dot(rows, first + x, residual)
        if (work.place[x] <= low and downhill <= 0) or (work.place[x] >= high and downhill >= 0):
            work.moving[x] = False
        work.vectors[DOWNHILL, x] = downhill
        if work.moving[x]:
            steepest = max(steepest, abs(downhill))
    return steepest


@njit(**INLINE)
def curvature(tables: Tables, work: Work) -> None:
    """Second derivatives of half the projected sum of squares: exact, and Gauss and Newton's."""
    rows, terms, unknowns = work.rows, work.use.size, work.place.size
    fixed, first, residual = terms - (unknowns - 1), PARTS * terms, work.rows.shape[0] - 1
    exact, rough = work.matrices[1], work.matrices[2]
    delayed, free = tables.responses.shape[2] == 4, 0
    for k in range(terms):
        free += work.use[k] == 1
    for x in range(unknowns):
        if not work.moving[x]:
            continue
        for i in range(free):
            k = work.order[i]
            mixed = dot(rows, first + x, PARTS * k)
            work.matrices[3, x, i] = mixed
            if k - fixed == x:
                mixed -= dot(rows, residual, PARTS * k + BY_U)
            elif delayed and x == unknowns - 1:
                mixed -= dot(rows, residual, PARTS * k + BY_D)
            work.matrices[4, x, i] = mixed
        forward(work.factor, free, work.matrices[3], x)
        forward(work.factor, free, work.matrices[4], x)
        for y in range(x + 1):
            if not work.moving[y]:
                continue
            rough[x, y] = exact[x, y] = dot(rows, first + x, first + y)
            for i in range(free):
                rough[x, y] -= work.matrices[3, x, i] * work.matrices[3, y, i]
                exact[x, y] -= work.matrices[4, x, i] * work.matrices[4, y, i]
    last = unknowns - 1
    for k in range(terms):
        if work.use[k] == 0:
            continue
        amount, row, x = work.coefficients[k], PARTS * k, k - fixed
        if x >= 0:
            exact[x, x] -= amount * dot(rows, residual, row + BY_UU)
        if delayed and x >= 0:
            exact[last, x] -= amount * dot(rows, residual, row + BY_UD)
        if delayed:
            exact[last, last] -= amount * dot(rows, residual, row + BY_DD)


@njit(**INLINE)
def newton_step(work: Work, damping: float) -> bool:
    """Damped step of the moving unknowns into vectors[STEP]: Newton's, or Gauss and Newton's where
    that is not downhill. Whether it is Newton's own.
    """
    unknowns, count, newton = work.place.size, 0, True
    small, factor = work.matrices[3], work.matrices[4]
    for attempt in range(2):
        newton, count = attempt == 0, 0
        for x in range(unknowns):
            if not work.moving[x]:
                continue
            column = 0
            for y in range(x + 1):
                if work.moving[y]:
                    small[count, column] = work.matrices[1 + attempt, x, y]
                    column += 1
            small[count, count] += (damping + 1e-14) * work.matrices[2, x, x]
            work.vectors[RIGHT, count] = work.vectors[DOWNHILL, x]
            count += 1
        if factorise(small, count, factor) > 0:
            forward(factor, count, work.vectors, RIGHT)
            backward(factor, count, work.vectors, RIGHT)
            break
        for x in range(count):
            # Where even that is flat: straight downhill, each unknown by its own scale.
            flat = small[x, x] > 0
            work.vectors[RIGHT, x] = work.vectors[RIGHT, x] / small[x, x] if flat else 0.0
    count = 0
    for x in range(unknowns):
        work.vectors[STEP, x] = 0.0
        if work.moving[x]:
            work.vectors[STEP, x] = work.vectors[RIGHT, count]
            count += 1
    return newton and damping == 0.0


@njit(**INLINE)
def _move(tables: Tables, work: Work) -> float:
    """Go the step from the origin, not too far and not out of the bounds; its length in u."""
    unknowns = work.place.size
    longest = 0.0
    for x in range(unknowns):
        unit = tables.grid[5] if x == unknowns - 1 else LONGEST_STEP
        longest = max(longest, abs(work.vectors[STEP, x]) / unit)
    share = 1.0 if longest <= 1.0 else 1.0 / longest
    for x in range(unknowns):
        low, high = 0.0, tables.grid[0] * (tables.responses.shape[1] - 1)
        if x == unknowns - 1:
            low, high = tables.grid[2], tables.grid[3]
        work.place[x] = min(max(work.vectors[ORIGIN, x] + share * work.vectors[STEP, x], low), high)
    return longest


@njit(**INLINE)
def _node_before(tables: Tables, work: Work) -> float:
    """The first node of the delay on the way from the origin to the work's place; NaN: none."""
    last, low, step = work.place.size - 1, tables.grid[2], tables.grid[1]
    begun, ended = (work.vectors[ORIGIN, last] - low) / step, (work.place[last] - low) / step
    node = np.floor(begun + ON_NODE) + 1 if ended > begun else np.ceil(begun - ON_NODE) - 1
    if abs(ended - begun) <= abs(node - begun):
        return np.nan
    return float(low + node * step)


@njit(**LEAN)
def _towards_earlier(tables: Tables, work: Work) -> float:
    """Hold a delay where later ones are not downhill, unless earlier ones are; the steepest slope.

    Seldom needed, and therefore a call of its own: all that is inlined is compiled again.
    """
    last = work.place.size - 1
    evaluate(tables, work, True)
    steepest: float = slopes(tables, work)
    if work.vectors[DOWNHILL, last] >= 0:
        work.moving[last], steepest = False, 0.0
        for x in range(last):
            if work.moving[x]:
                steepest = max(steepest, abs(work.vectors[DOWNHILL, x]))
    return steepest


@njit(**INLINE)
def _rest_on_node(tables: Tables, work: Work) -> float:
    """Hold a delay on a node of the tables, where the columns bend, if neither side is downhill.

    The steepest slope of what moves; the work's derivatives are those of the side that is downhill.
    """
    last = work.place.size - 1
    position = (work.place[last] - tables.grid[2]) / tables.grid[1]
    steepest: float = slopes(tables, work)
    on_node = abs(position - np.rint(position)) < ON_NODE
    if on_node and work.moving[last] and work.vectors[DOWNHILL, last] <= 0:
        steepest = _towards_earlier(tables, work)
    return steepest


@njit(**INLINE)
def _allowed(tables: Tables, work: Work) -> bool:
    """Whether no exponential has a coefficient that it must not have."""
    fixed = tables.columns.shape[1]
    if not tables.positive[fixed]:
        return True
    for k in range(fixed, work.use.size):
        if work.use[k] == 1 and work.coefficients[k] < 0:
            return False
    return True


@njit(**LEAN)
def descend(
    tables: Tables, work: Work, curve: np.ndarray, record: float = np.inf
) -> tuple[float, int]:
    """Newton's method from the work's place: the least square of the residual, and the outcome.

    It is BEATEN where the square has no prospect of falling below the record, and LEVEL where the
    steps ended on the floor of a valley that is all but level.
    """
    origin = work.vectors[ORIGIN]
    least, squares, fell = 0.0, np.inf, np.inf
    for i in range(curve.size):
        least += 1e-30 * curve[i] * curve[i]
    delayed = tables.responses.shape[2] == 4
    damping, length, newton, outcome, last = 0.0, np.inf, False, STALLED, False
    landed = False
    for step in range(MOST_STEPS + 1):
        last |= step == MOST_STEPS
        if last:
            # Back to the origin and its coefficients, and no further.
            for x in range(work.place.size):
                work.place[x] = origin[x]
        evaluate(tables, work)
        reached = project(curve, work)
        if last or (not reached < np.inf and not squares < np.inf):
            level = last and outcome == STALLED and fell <= FELL * squares
            return reached, LEVEL if level else outcome
        better = reached <= squares * (1 + 1e-14) + least
        better = better and (squares == np.inf or _allowed(tables, work))
        if better:
            squares, fell = reached, squares - reached
            if newton and length < NEWTON_STEP[int(delayed)]:
                return squares, CONVERGED
            for x in range(work.place.size):
                origin[x] = work.place[x]
            if _rest_on_node(tables, work) == 0.0:
                return squares, CONVERGED
            landed = False
            curvature(tables, work)
            damping = damping / 10 if damping > 1e-4 else 0.0
        else:
            node = np.nan if landed else _node_before(tables, work)
            if not np.isnan(node):
                # Beyond a bend of the columns nothing is as it was foreseen: as far as that.
                unknowns, landed, newton = work.place.size, True, False
                share = (node - origin[unknowns - 1]) / (
                    work.place[unknowns - 1] - origin[unknowns - 1]
                )
                for x in range(unknowns):
                    work.place[x] = origin[x] + share * (work.place[x] - origin[x])
                work.place[unknowns - 1] = node
                continue
            settled = newton and length < SHORTEST_STEP
            damping = max(10 * damping, 1e-3)
            if settled or damping > STIFF:
                outcome, last = CONVERGED if settled else STALLED, True
                continue
        newton = newton_step(work, damping)
        gain = 0.0
        for x in range(work.place.size):
            gain += work.vectors[STEP, x] * work.vectors[DOWNHILL, x]
        if better and newton and gain <= SETTLED[int(delayed)] * squares + least:
            return squares, CONVERGED
        if better and newton and squares - HOPE * gain > record:
            return squares, BEATEN
        length = _move(tables, work)
    return squares, outcome
