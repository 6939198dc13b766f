"""Minima that lie on a kink of the sum of squares.

An input that is straight between its knots, seen at instants, makes curves whose slope by the delay
jumps where a knot passes an instant. Where the slope of the sum of squares changes its sign in such
a jump, the kink itself is the minimum: a descent nears it in ever shorter steps and never settles.

Here the parameter along which the sum of squares bends most sharply is held and all others are
fitted. The slope of the least sum of squares is then the partial one (envelope theorem), and the
kink is closed in on from both sides by where the tangents cross. It is a minimum where the sum of
squares rises to both sides, the others being at their best: no direction leads downhill (Clarke,
Optimization and Nonsmooth Analysis, 1983, section 2.3).
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
from igdd.kernels.descent import descend, rounding_of

# Lengths are in units over which a parameter alone changes the curve by as much as the residuals.
# How far from the end of a descent its kink is looked for, and what that grows by in each round in
# which a side is open.
REACH = 1e-3
GROWTH = 4.0
# Second difference over that reach from which there is a kink, over that of a curve straight in the
# parameter: near 1 where there is none, and the larger with a kink the shorter the reach.
SHARP = 2.0
# Width of the differences that say whether a place is a minimum; below the second one, a share of
# the parameter, rounding rules. What the sum of squares can change by over two widths, over itself.
WIDTH = 1e-7
LEAST_WIDTH = 1e-11
NEAR = 4 * WIDTH
ROUNDS = 30
# Steps that the other parameters are given at each place, and places at which they may fail.
STEPS = 50
FAILURES = 3
# Where the sum of squares is not convex, tangents cross beside the kink: in turn, so large a share
# of what lies between the ends is left to either side.
MARGINS = (0.0, 0.01, 0.5)
# Parameters whose kinks may meet in a minimum, such as the delays of two inputs.
MEETING = 2


class _Data(NamedTuple):
    """Weighted curves (m, t) and their weights (m, t)."""

    target: np.ndarray
    weight: np.ndarray

    def of(self, rows: np.ndarray) -> _Data:
        """Some of the curves."""
        return _Data(self.target[rows], self.weight[rows])


class _Place(NamedTuple):
    """Curves (m,) with one parameter held and all others at their best.

    back, ahead  rise of the sum of squares over a width to either side; infinite at a bound
    settled      whether the others are at their best
    """

    parameters: np.ndarray
    squares: np.ndarray
    back: np.ndarray
    ahead: np.ndarray
    settled: np.ndarray


def finish(
    problem: Problem,
    target: np.ndarray,
    weight: np.ndarray,
    found: np.ndarray,
    meeting: int = MEETING,
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (m, p) of curves whose descent ended in `found` without settling, no worse than
    those, and whether they are a minimum on a kink, or where so many kinks meet."""
    data = _Data(target, weight)
    found, proven = found.copy(), np.zeros(len(found), dtype=bool)
    for _ in range(meeting):
        rows = np.flatnonzero(~proven)
        if not rows.size:
            break
        # Where the model has no value, the sum of squares is infinite.
        with np.errstate(invalid="ignore"):
            again = _sharpest_first(problem, data.of(rows), found[rows], meeting)
        found[rows], proven[rows] = again
        rows = rows[~proven[rows]]
        if rows.size:
            # Led away from the kink, the descent may go on.
            found[rows], _, proven[rows] = descend(problem, *data.of(rows), found[rows], STEPS)
    return found, proven


def _sharpest_first(
    problem: Problem, data: _Data, found: np.ndarray, meeting: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `finish`, each curve along the parameter in which it bends most sharply."""
    columns, unit = _sharpest(problem, data, found)
    found, proven = found.copy(), np.zeros(len(found), dtype=bool)
    for column in np.unique(columns[columns >= 0]).tolist():
        rows = np.flatnonzero(columns == column)
        along = column, unit[rows, column]
        found[rows], proven[rows] = _close_in(problem, data.of(rows), found[rows], along, meeting)
    return found, proven


def _squares(problem: Problem, data: _Data, parameters: np.ndarray) -> np.ndarray:
    """Sums of squares (m,)."""
    return sum_of_squares(weighted(problem, parameters, data.weight), data.target)


def _beside(
    problem: Problem, data: _Data, parameters: np.ndarray, along: tuple[int, np.ndarray]
) -> np.ndarray:
    """Sums of squares (m,) a step (m,) of one parameter away; infinite beyond its bounds."""
    column, step = along
    moved = parameters.copy()
    moved[:, column] += step
    low, high = problem.low[column], problem.high[column]
    beyond = (moved[:, column] < low) | (moved[:, column] > high)
    moved[:, column] = np.clip(moved[:, column], low, high)
    return np.where(beyond, np.inf, _squares(problem, data, moved))


def _sharpest(problem: Problem, data: _Data, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parameter (m,) along which the sum of squares bends most sharply, -1 where there is no
    kink; and the units of length (m, p)."""
    reached = weighted(problem, found, data.weight)
    squares = sum_of_squares(reached, data.target)
    information, _ = information_at(problem, Point(found, reached, *data), central=False)
    length = np.sqrt(np.einsum("mpp->mp", information))
    unit = np.divide(np.sqrt(squares)[:, None], length, out=np.zeros(found.shape), where=length > 0)
    unit = np.maximum(unit, LEAST_WIDTH / WIDTH * np.maximum(np.abs(found), problem.floor))
    bend = np.full(found.shape, -np.inf)
    for j in np.flatnonzero(problem.free).tolist():
        above, below = (
            _beside(problem, data, found, (j, way * REACH * unit[:, j])) for way in (1, -1)
        )
        rise = above + below - 2 * squares
        inside = np.isfinite(rise) & (length[:, j] > 0)
        straight = 2 * (REACH * unit[:, j] * length[:, j]) ** 2
        bend[inside, j] = rise[inside] / straight[inside]
    return np.where(bend.max(axis=1) > SHARP, np.argmax(bend, axis=1), -1), unit


def _close_in(
    problem: Problem,
    data: _Data,
    found: np.ndarray,
    along: tuple[int, np.ndarray],
    meeting: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The best parameters (m, p) met on the way to a kink in one of them, and whether it is one."""
    column, unit = along
    width = WIDTH * unit
    best, least = found.copy(), _squares(problem, data, found)
    rounding = rounding_of(least, np.sum(data.target**2, axis=1))
    proven, failures = np.zeros(len(found), dtype=bool), np.zeros(len(found), dtype=int)
    # Position, sum of squares and slope of the ends between which the kink lies.
    low, high = np.full((2, 3, len(found)), np.nan)
    trial, rows = found[:, column].copy(), np.arange(len(found))
    for count in range(ROUNDS):
        starts = best[rows]
        starts[:, column] = trial[rows]
        place = _place(problem, data.of(rows), starts, (column, width[rows]), meeting)
        falls = place.ahead < 0
        for end, here, slope in ((low, falls, -place.back), (high, ~falls, place.ahead)):
            ends = np.stack([trial[rows], place.squares, slope / width[rows]])
            end[:, rows[here]] = ends[:, here]
        level = place.settled & (np.minimum(place.back, place.ahead) >= -rounding[rows])
        level &= place.squares <= least[rows] + rounding[rows]
        better = level | (place.squares < least[rows])
        best[rows[better]], least[rows[better]] = place.parameters[better], place.squares[better]
        closed = high[0, rows] - low[0, rows] <= 2 * width[rows]
        # A curve that itself jumps there has no minimum.
        close = np.abs(np.stack([low[1, rows], high[1, rows]]) - least[rows]) <= NEAR * least[rows]
        proven[rows] = level | (closed & place.settled & close.all(axis=0))
        failures[rows] += ~place.settled
        rows = rows[~(level | closed | (failures[rows] >= FAILURES))]
        if not rows.size:
            break
        reach = REACH * GROWTH**count * unit[rows], width[rows]
        further = _between(low[:, rows], high[:, rows], reach, MARGINS[count % len(MARGINS)])
        trial[rows] = np.clip(further, problem.low[column], problem.high[column])
    return best, proven


def _between(
    low: np.ndarray, high: np.ndarray, reach: tuple[np.ndarray, np.ndarray], margin: float
) -> np.ndarray:
    """Where the tangents at two ends cross, if not nearer to an end than a share of what lies
    between; a little beyond the one end that there is."""
    (left, below, falling), (right, above, rising) = low, high
    far, width = reach
    with np.errstate(all="ignore"):
        cross = (above - below + falling * left - rising * right) / (falling - rising)
        cross = np.where(np.isfinite(cross), cross, (left + right) / 2)
    away = np.maximum(width, margin * (right - left))
    inside = np.clip(cross, left + away, right - away)
    beyond = np.where(np.isfinite(left), left + far, right - far)
    return np.asarray(np.where(np.isfinite(left) & np.isfinite(right), inside, beyond))


def _place(
    problem: Problem,
    data: _Data,
    starts: np.ndarray,
    along: tuple[int, np.ndarray],
    meeting: int,
) -> _Place:
    """Curves fitted with one parameter held where it starts, and what lies to either side."""
    column, width = along
    held = problem._replace(free=problem.free & (np.arange(len(problem.free)) != column))
    parameters, squares, settled = descend(held, *data, starts, STEPS)
    if meeting > 1 and (rows := np.flatnonzero(~settled & np.isfinite(squares))).size:
        again = finish(held, *data.of(rows), parameters[rows], meeting - 1)
        parameters[rows], settled[rows] = again
        squares[rows] = _squares(problem, data.of(rows), parameters[rows])
    back, ahead = (
        _beside(problem, data, parameters, (column, step)) - squares for step in (-width, width)
    )
    return _Place(parameters, squares, back, ahead, settled)
