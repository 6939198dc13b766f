"""Damped steps downhill, for many curves at once: the descent of Levenberg and Marquardt.

Each curve has its own damping, and leaves the batch once it has settled. Steps are measured in the
model's own sensitivity, so that parameters may differ by any power of ten. A step that meets a
bound goes on along it.
Marquardt, SIAM J Appl Math 1963;11:431; damping after Nielsen, IMM-REP-1999-05, Technical
University of Denmark.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.kernels.curve_slopes import (
    Point,
    Problem,
    information_at,
    sum_of_squares,
    weighted,
)

# As `SETTLED`, once one-sided differences have done their work.
NEAR = 1e-6
# What the undamped step could still gain, over the sum of squares, once a curve has settled: its
# distance from the minimum is then below 1e-6 standard errors.
SETTLED = 1e-14
# Sum of squares over that of the values at which a curve is followed to its last digits.
EXACT = 1e-28
# Keeps directions without any effect out of the undamped step.
RIDGE = 1e-13
# Damping up to which the gain expected of the damped step says how near the minimum is. Where the
# derivatives are all but dependent and the residuals are not 0, the curvature along the open
# direction is that of the model, not of its derivatives: the undamped step promises a gain that is
# not there, and the damping takes the value of the true curvature.
FIRM = 1.0
# Shares of the parameters' sizes by which a way down is looked for where damping hides it.
SHARES = (0.3, 0.03, 0.003)
# A curve whose damping has grown so far cannot be improved: by then rounding rules.
STIFF = 1e14
STALLED = 1e-8


class _Local(NamedTuple):
    """Curves near their parameters: sum of squares, information (J'J), gradient (J'r)."""

    squares: np.ndarray
    information: np.ndarray
    gradient: np.ndarray


def _least_gain(squares: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Gain (m,) below which a curve has settled, of its sum of squares and that of its values."""
    return np.asarray(SETTLED * squares + EXACT * whole)


def rounding_of(squares: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Change (m,) of a sum of squares that says nothing."""
    return np.asarray(_least_gain(squares, whole) + np.finfo(float).eps * np.sqrt(squares * whole))


def descend(
    problem: Problem, target: np.ndarray, weight: np.ndarray, starts: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, sums of squares and whether settled, from one start (m, p) for each row."""
    found = np.clip(starts, problem.low, problem.high)
    reached = weighted(problem, found, weight)
    squares = sum_of_squares(reached, target)
    state = Point(found, reached, target, weight)
    settled, fine = np.zeros((2, len(found)), dtype=bool)
    whole = np.sum(target**2, axis=1)
    damping, growth = np.full(len(found), 1e-3), np.full(len(found), 2.0)
    size = found.shape[1]
    information, gradient = np.zeros((len(found), size, size)), np.zeros(found.shape)
    active = np.flatnonzero(np.isfinite(squares))
    stale = active
    for _ in range(most):
        for central in (False, True):
            if (rows := stale[fine[stale] == central]).size:
                information[rows], gradient[rows] = information_at(problem, state.of(rows), central)
        here = _Local(squares[active], information[active], gradient[active])
        last, gain = _step(problem, found[active], here, np.full(active.size, RIDGE))
        least = _least_gain(here.squares, whole[active])
        enough = fine[active] & (gain <= least)
        # The rest of the way is too short for its gain to show among the rounding.
        found[active[enough]] = last[enough]
        stiff = (damping[active] > STIFF) | ~np.isfinite(gain)
        settled[active] = enough | (stiff & (gain <= STALLED * here.squares))
        going = ~(enough | stiff)
        active, last, gain, least = active[going], last[going], gain[going], least[going]
        if not active.size:
            break
        here = _Local(squares[active], information[active], gradient[active])
        trial, expected = _step(problem, found[active], here, damping[active])
        near = ~fine[active] & (expected <= NEAR * here.squares + least)
        rounding = rounding_of(here.squares, whole[active])
        # What the undamped step promises is looked for before it is given up.
        doubt = fine[active] & (expected <= rounding) & (damping[active] <= FIRM)
        if (rows := active[doubt]).size:
            ends = last[doubt], rounding[doubt]
            trial[doubt] = _search(problem, state.of(rows), information[rows], ends)
            expected[doubt] = gain[doubt]
        fine[active[near]] = True
        curve = weighted(problem, trial, weight[active])
        reduced = sum_of_squares(curve, target[active])
        gained = here.squares - reduced
        _adapt(damping, growth, active, (gained, expected))
        better = (gained > 0) | (doubt & (gained >= -rounding))
        moved = active[better]
        found[moved], squares[moved] = trial[better], reduced[better]
        reached[moved] = curve[better]
        spent = doubt & ~(gained > rounding)
        settled[active[spent]] = True
        active, stale = active[~spent], active[(better | near) & ~spent]
    return found, squares, settled


def _search(
    problem: Problem, point: Point, information: np.ndarray, ends: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """The best (m, p) of the undamped step's end and some points either way along the direction in
    which the curves change least, which finds the way down from a saddle; among equals, to within
    the rounding (m,) of the sum of squares, the first point at a bound."""
    last, rounding = ends
    length = np.sqrt(np.einsum("mpp->mp", information))
    scale = np.where(length > 0, length, 1.0)
    idle = ~problem.free | (length == 0)
    matrix = information / scale[:, :, None] / scale[:, None, :]
    matrix = np.where(idle[:, :, None] | idle[:, None, :], 2 * np.eye(len(problem.free)), matrix)
    open_ = np.where(idle, 0.0, np.linalg.eigh(matrix)[1][:, :, 0] / scale)
    size = np.maximum(np.abs(point.parameters), problem.floor)
    open_ /= np.maximum(np.max(np.abs(open_) / size, axis=1), np.finfo(float).tiny)[:, None]
    best, least = (
        last,
        sum_of_squares(weighted(problem, last, point.weight), point.target),
    )
    for way in (open_, -open_):
        bound = np.where(way < 0, problem.low, problem.high)
        room = np.full(way.shape, np.inf)
        with np.errstate(over="ignore"):
            room = np.divide(bound - point.parameters, way, out=room, where=way != 0)
        first = room.min(axis=1, keepdims=True)
        for share in (np.inf, *SHARES):
            far = np.minimum(share, first)
            trial = point.parameters + np.where(far < np.inf, far, 0.0) * way
            trial = np.where(room <= np.where(far < np.inf, far, -1.0), bound, trial)
            squares = sum_of_squares(weighted(problem, trial, point.weight), point.target)
            squares -= rounding if share == np.inf else 0.0
            best = np.where((squares < least)[:, None], trial, best)
            least = np.minimum(squares, least)
    return best


def _adapt(
    damping: np.ndarray,
    growth: np.ndarray,
    rows: np.ndarray,
    gained: tuple[np.ndarray, np.ndarray],
) -> None:
    """Change the damping of rows by what their steps gained and what was expected of them."""
    gain, expected = gained
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.divide(gain, expected, out=np.zeros_like(gain), where=expected > 0)
    shrink = np.clip(1 - (2 * np.clip(ratio, -1, 1) - 1) ** 3, 1 / 3, 2.0)
    damping[rows] *= np.where(gain > 0, shrink, growth[rows])
    growth[rows] = np.where(gain > 0, 2.0, np.minimum(2 * growth[rows], 1e6))


def _blocked(problem: Problem, parameters: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Parameters (m, p) that are held, or at a bound with the descent pointing out of it."""
    out_low = (parameters <= problem.low) & (gradient <= 0)
    out_high = (parameters >= problem.high) & (gradient >= 0)
    return np.asarray(~problem.free | out_low | out_high)


def _step(
    problem: Problem, parameters: np.ndarray, local: _Local, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the damped step leads, inside the bounds, and the gain (m,) expected of it.

    A step that meets a bound goes on along it, the other parameters solved anew with that one held
    there: a primal active-set method for the damped quadratic model (Nocedal and Wright, Numerical
    Optimization, 2006, section 16.5), which falls along the whole way. Columns are at unit length.
    """
    length = np.sqrt(np.einsum("mpp->mp", local.information))
    scale = np.where(length > 0, length, 1.0)
    matrix = local.information / scale[:, :, None] / scale[:, None, :]
    diagonal = np.arange(matrix.shape[1])
    # Exact derivatives may be equal to the last digit, and damping fades below rounding.
    matrix[:, diagonal, diagonal] = 1 + np.maximum(damping, RIDGE)[:, None]
    gradient = local.gradient / scale
    below, above = (problem.low - parameters) * scale, (problem.high - parameters) * scale
    held = _blocked(problem, parameters, gradient) | (length == 0)
    moved, gain = np.zeros_like(parameters), np.zeros(len(parameters))
    rows = np.arange(len(parameters))
    while rows.size:
        fixed, here, inside = held[rows], moved[rows], matrix[rows]
        rest = np.where(fixed, 0.0, gradient[rows] - np.einsum("mpq,mq->mp", inside, here))
        inside = np.where(fixed[:, :, None] | fixed[:, None, :], np.eye(len(diagonal)), inside)
        step = np.linalg.solve(inside, rest[..., None])[..., 0]
        bound = np.where(step < 0, below[rows], above[rows])
        with np.errstate(over="ignore"):
            room = np.divide(bound - here, step, out=np.full(step.shape, np.inf), where=step != 0)
        share = np.clip(room.min(axis=1), 0.0, 1.0)
        gain[rows] += share * (2 - share) * np.einsum("mp,mp->m", step, rest)
        met = room <= np.where(share < 1, share, -np.inf)[:, None]
        moved[rows] = np.where(met, bound, here + share[:, None] * step)
        held[rows] |= met
        rows = rows[met.any(axis=1)]
    gain += damping * np.einsum("mp,mp->m", moved, moved)
    end = np.clip(parameters + moved / scale, problem.low, problem.high)
    end = np.where(moved <= below, problem.low, np.where(moved >= above, problem.high, end))
    return np.where(problem.free, end, parameters), gain
