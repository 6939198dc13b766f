"""Levenberg-Marquardt for many curves at once, with bounds, several starts, covariance and status.

Each curve has its own damping, and leaves the batch once it has settled. Steps are measured in the
model's own sensitivity, so that parameters may differ by any power of ten. A parameter at a bound
that the step would push further out is taken out of the step.
Marquardt, SIAM J Appl Math 1963;11:431; damping after Nielsen, IMM-REP-1999-05, Technical
University of Denmark.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.linear import weights

# The square root of the rounding balances rounding and curvature in one-sided differences, which
# lead near the minimum; its cube root in central ones, which find it and its curvature.
ONE_SIDED = float(np.sqrt(np.finfo(float).eps))
CENTRAL = float(np.cbrt(np.finfo(float).eps))
ITERATIONS = 200
# With several starts: every one gets a few steps, then the best of each curve go on to the end.
SCOUTING = 6
KEPT = 3
# As `SETTLED`, once one-sided differences have done their work.
NEAR = 1e-6
# What the undamped step could still gain, over the sum of squares, once a curve has settled: its
# distance from the minimum is then below 1e-6 standard errors.
SETTLED = 1e-14
# Sum of squares over that of the values at which a curve is followed to its last digits.
EXACT = 1e-28
# A curve whose damping has grown so far cannot be improved: by then rounding rules.
STIFF = 1e14
STALLED = 1e-8
# Numbers held at once for the derivatives of a batch.
BATCH = 4_000_000

Predict = Callable[[np.ndarray], np.ndarray]


class Fitted(NamedTuple):
    """Fitted parameters of n curves, ready to become an `igdd.kinetics.Solution`.

    parameters  (n, p); NaN where a curve could not be fitted
    covariance  (n, p, p); 0 for a parameter that is not free or lies at a bound, NaN if not known
    status      (n,) bits of `igdd.kinetics.Status`
    predicted   (n, t); NaN in frames that were not used
    """

    parameters: np.ndarray
    covariance: np.ndarray
    status: np.ndarray
    predicted: np.ndarray


class _Problem(NamedTuple):
    """What all curves share."""

    predict: Predict
    jacobian: Predict | None
    low: np.ndarray
    high: np.ndarray
    free: np.ndarray
    floor: np.ndarray


class _Local(NamedTuple):
    """Curves near their parameters: sum of squares, information (J'J), gradient (J'r)."""

    squares: np.ndarray
    information: np.ndarray
    gradient: np.ndarray


def fit_curves(
    predict: Predict,
    values: np.ndarray,
    sd: np.ndarray | None,
    starts: np.ndarray,
    bounds: np.ndarray,
    *,
    free: np.ndarray | None = None,
    jacobian: Predict | None = None,
    absolute: bool = False,
) -> Fitted:
    """Parameters that bring `predict` nearest to curves (n, t), by weighted least squares.

    predict   parameters (m, p) -> curves (m, t), row by row independent
    sd        (t,) or (n, t); infinite: the frame is not used; None: all frames alike
    starts    (s, p) for all curves or (n, s, p); the best end of each curve is kept
    bounds    (p, 2); infinite where there is none
    free      (p,) which parameters are fitted; the others stay at their start
    jacobian  parameters (m, p) -> (m, t, p); None: central differences inside the bounds
    absolute  whether `sd` is in the unit of `values`; else it only says how frames compare, and the
              covariance is scaled by the residual variance with n - k degrees of freedom

    A curve with a missing value, with zeros only, or with fewer frames than parameters is NaN.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    weight = weights(sd, values.shape)
    bounds = np.asarray(bounds, dtype=float)
    starts = _shaped(np.asarray(starts, dtype=float), len(values), len(bounds))
    low, high = bounds[:, 0], bounds[:, 1]
    if not (low <= high).all():
        raise InputError(f"bounds {bounds.tolist()}; expected the lower one first")
    free = np.ones(len(bounds), dtype=bool) if free is None else np.asarray(free, dtype=bool)
    problem = _Problem(predict, jacobian, low, high, free, _floor(starts, bounds))
    target = np.where(weight > 0, values, 0.0) * weight
    fit = np.isfinite(target).all(axis=1) & (target != 0).any(axis=1)
    fit &= (weight > 0).sum(axis=1) >= free.sum()
    found = np.full((len(values), len(bounds)), np.nan)
    settled = np.zeros(len(values), dtype=bool)
    for rows in _batches(np.flatnonzero(fit), starts.shape[1] * values.shape[1] * len(bounds)):
        found[rows], settled[rows] = _best(problem, target[rows], weight[rows], starts[rows])
    return _described(problem, found, settled, (target, weight), absolute)


def _shaped(starts: np.ndarray, curves: int, size: int) -> np.ndarray:
    """Starts as (n, s, p)."""
    if starts.ndim == 2:
        starts = np.broadcast_to(starts, (curves, *starts.shape))
    if starts.ndim != 3 or starts.shape[0] != curves or starts.shape[2] != size:
        raise InputError(
            f"starts have shape {starts.shape}; expected (s, {size}) or ({curves}, s, {size})"
        )
    return starts


def _floor(starts: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Least size (p,) by which a parameter near 0 is varied."""
    with np.errstate(invalid="ignore"):
        size = np.nanmax(np.abs(np.where(np.isfinite(starts), starts, 0.0)), axis=(0, 1), initial=0)
    width = np.where(np.isfinite(bounds).all(axis=1), bounds[:, 1] - bounds[:, 0], 1e-4)
    return np.where(size > 0, 1e-3 * size, 1e-2 * np.where(width > 0, width, 1.0))


def _batches(rows: np.ndarray, each: int) -> list[np.ndarray]:
    """Rows in parts whose derivatives fit into memory together."""
    if not rows.size:
        return []
    return np.array_split(rows, max(1, -(-rows.size * each // BATCH)))


def _best(
    problem: _Problem, target: np.ndarray, weight: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best parameters (n, p) over all starts (n, s, p), and whether they have settled."""
    curves, several, size = starts.shape
    kept = starts
    if several > 1:
        every = np.repeat(np.arange(curves), several)
        found, squares, _ = _descend(
            problem, target[every], weight[every], starts.reshape(-1, size), SCOUTING
        )
        order = np.argsort(squares.reshape(curves, several), axis=1, kind="stable")[:, :KEPT]
        kept = np.take_along_axis(found.reshape(starts.shape), order[:, :, None], axis=1)
    several = kept.shape[1]
    every = np.repeat(np.arange(curves), several)
    found, squares, settled = _descend(
        problem, target[every], weight[every], kept.reshape(-1, size), ITERATIONS
    )
    choice = np.arange(curves) * several + np.argmin(squares.reshape(curves, several), axis=1)
    lost = ~np.isfinite(squares[choice])
    return np.where(lost[:, None], np.nan, found[choice]), settled[choice] & ~lost


def _descend(
    problem: _Problem, target: np.ndarray, weight: np.ndarray, starts: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, sums of squares and whether settled, from one start (m, p) for each row."""
    found = np.clip(starts, problem.low, problem.high)
    reached = _predicted(problem, found, weight)
    squares = _squares(reached, target)
    settled, fine = np.zeros((2, len(found)), dtype=bool)
    exact = EXACT * np.sum(target**2, axis=1)
    damping, growth = np.full(len(found), 1e-3), np.full(len(found), 2.0)
    size = found.shape[1]
    information, gradient = np.zeros((len(found), size, size)), np.zeros(found.shape)
    active = np.flatnonzero(np.isfinite(squares))
    stale = active
    for _ in range(most):
        for central in (False, True):
            rows = stale[fine[stale] == central]
            if rows.size:
                point = found[rows], reached[rows], target[rows], weight[rows]
                information[rows], gradient[rows] = _local(problem, point, central)
        here = _Local(squares[active], information[active], gradient[active])
        last, gain = _undamped(problem, found[active], here)
        enough = fine[active] & (gain <= SETTLED * here.squares + exact[active])
        # The rest of the way is too short for its gain to show among the rounding.
        found[active[enough]] = last[enough]
        stiff = (damping[active] > STIFF) | ~np.isfinite(gain)
        settled[active] = enough | (stiff & (gain <= STALLED * here.squares))
        near = gain <= NEAR * here.squares + exact[active]
        going = ~(enough | stiff)
        active, near = active[going], near[going] & ~fine[active[going]]
        if not active.size:
            break
        fine[active[near]] = True
        here = _Local(squares[active], information[active], gradient[active])
        trial, expected = _trial(problem, found[active], here, damping[active])
        curve = _predicted(problem, trial, weight[active])
        reduced = _squares(curve, target[active])
        better = reduced < here.squares
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(expected > 0, (here.squares - reduced) / expected, 0.0)
        shrink = np.clip(1 - (2 * np.clip(ratio, -1, 1) - 1) ** 3, 1 / 3, 2.0)
        damping[active] *= np.where(better, shrink, growth[active])
        growth[active] = np.where(better, 2.0, np.minimum(2 * growth[active], 1e6))
        moved = active[better]
        found[moved], squares[moved] = trial[better], reduced[better]
        reached[moved] = curve[better]
        stale = active[better | near]
    return found, squares, settled


def _predicted(problem: _Problem, parameters: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted prediction (m, t), 0 in frames that are not used."""
    with np.errstate(all="ignore"):
        return np.asarray(np.where(weight > 0, problem.predict(parameters), 0.0) * weight)


def _squares(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Sum of weighted squares (m,); infinite where the model has no value."""
    with np.errstate(all="ignore"):
        squares = np.sum((target - predicted) ** 2, axis=1)
    return np.where(np.isfinite(squares), squares, np.inf)


def _local(
    problem: _Problem,
    point: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    central: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Information and gradient at a point: parameters (m, p), weighted prediction there (m, t),
    weighted curves and weights."""
    parameters, reached, target, weight = point
    with np.errstate(all="ignore"):
        if problem.jacobian is not None:
            slopes = np.where(weight[..., None] > 0, problem.jacobian(parameters), 0.0)
            slopes = np.where(problem.free, slopes, 0.0) * weight[..., None]
        else:
            slopes = _differences(problem, parameters, reached, weight, central)
    slopes[~np.isfinite(slopes)] = 0.0
    information = np.swapaxes(slopes, 1, 2) @ slopes
    gradient = np.einsum("mtp,mt->mp", slopes, target - reached)
    return information, gradient


def _differences(
    problem: _Problem,
    parameters: np.ndarray,
    reached: np.ndarray,
    weight: np.ndarray,
    central: bool,
) -> np.ndarray:
    """Weighted derivatives (m, t, p), central ones one-sided at a bound."""
    slopes = np.zeros((*reached.shape, parameters.shape[1]))
    share = CENTRAL if central else ONE_SIDED
    for j in np.flatnonzero(problem.free):
        low, high, here = problem.low[j], problem.high[j], parameters[:, j]
        width = share * np.maximum(np.abs(here), problem.floor[j])
        above, below = here + width, here - width
        above = np.where(above > high, np.where(central, high, below), above)
        moved = parameters.copy()
        moved[:, j] = above
        up = _predicted(problem, moved, weight)
        down, lower = reached, here
        if central:
            moved[:, j] = lower = np.maximum(below, low)
            down = _predicted(problem, moved, weight)
        between = np.where(above != lower, above - lower, np.inf)
        slopes[:, :, j] = (up - down) / between[:, None]
    return slopes


def _blocked(problem: _Problem, parameters: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Parameters (m, p) that are held, or at a bound with the descent pointing out of it."""
    out_low = (parameters <= problem.low) & (gradient <= 0)
    out_high = (parameters >= problem.high) & (gradient >= 0)
    return np.asarray(~problem.free | out_low | out_high)


def _solve(local: _Local, blocked: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Step (m, p) of the damped normal equations, columns at unit length; 0 where blocked."""
    length = np.sqrt(np.einsum("mpp->mp", local.information))
    scale = np.where(length > 0, length, 1.0)
    matrix = local.information / scale[:, :, None] / scale[:, None, :]
    idle = blocked | (length == 0)
    matrix = np.where(idle[:, :, None] | idle[:, None, :], 0.0, matrix)
    diagonal = np.arange(matrix.shape[1])
    matrix[:, diagonal, diagonal] = 1 + damping[:, None]
    right = np.where(idle, 0.0, local.gradient / scale)
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0] / scale)


def _undamped(
    problem: _Problem, parameters: np.ndarray, local: _Local
) -> tuple[np.ndarray, np.ndarray]:
    """Where an undamped step leads, inside the bounds, and how much (m,) of the sum of squares it
    would take away, to second order."""
    blocked = _blocked(problem, parameters, local.gradient)
    # The ridge keeps directions without any effect out of the step.
    step = _solve(local, blocked, np.full(len(parameters), 1e-13))
    gain = np.abs(np.einsum("mp,mp->m", step, local.gradient))
    return np.clip(parameters + step, problem.low, problem.high), gain


def _trial(
    problem: _Problem, parameters: np.ndarray, local: _Local, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the damped step leads, inside the bounds, and the gain (m,) expected of it."""
    blocked = _blocked(problem, parameters, local.gradient)
    step = _solve(local, blocked, damping)
    for _ in range(parameters.shape[1]):
        out = (parameters <= problem.low) & (step < 0) | (parameters >= problem.high) & (step > 0)
        if not out.any():
            break
        blocked |= out
        step = _solve(local, blocked, damping)
    trial = np.asarray(np.clip(parameters + step, problem.low, problem.high))
    step = trial - parameters
    expected = 2 * np.einsum("mp,mp->m", step, local.gradient)
    expected -= np.einsum("mp,mpq,mq->m", step, local.information, step)
    return trial, expected


def _described(
    problem: _Problem,
    found: np.ndarray,
    settled: np.ndarray,
    data: tuple[np.ndarray, np.ndarray],
    absolute: bool,
) -> Fitted:
    """Covariance, prediction and status of what was found."""
    target, weight = data
    curves, size = found.shape
    fitted = np.flatnonzero(np.isfinite(found).all(axis=1))
    covariance = np.full((curves, size, size), np.nan)
    predicted = np.full(target.shape, np.nan)
    status = np.full(curves, judge.NOT_FITTED)
    for rows in _batches(fitted, target.shape[1] * size):
        reached = _predicted(problem, found[rows], weight[rows])
        squares = _squares(reached, target[rows])
        point = found[rows], reached, target[rows], weight[rows]
        information, _ = _local(problem, point, central=True)
        at_bound = problem.free & ((found[rows] <= problem.low) | (found[rows] >= problem.high))
        idle = ~problem.free | at_bound
        covariance[rows], conditions = _covariance(information, idle)
        spare = (weight[rows] > 0).sum(axis=1) - (~idle).sum(axis=1)
        if not absolute:
            variance = np.where(spare > 0, squares / np.maximum(spare, 1), np.nan)
            covariance[rows] *= variance[:, None, None]
        unsure = judge.poorly_identified(found[rows], covariance[rows], conditions)
        status[rows] = (
            np.where(settled[rows], 0, judge.NOT_CONVERGED)
            | np.where(at_bound.any(axis=1), judge.AT_BOUND, 0)
            | np.where(unsure, judge.POORLY_IDENTIFIED, 0)
        )
        used = weight[rows] > 0
        predicted[rows] = np.divide(reached, weight[rows], out=predicted[rows], where=used)
    return Fitted(found, covariance, status, predicted)


def _covariance(information: np.ndarray, idle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse information (m, p, p) of the parameters that are not idle, and its condition (m,)."""
    diagonal = np.arange(idle.shape[1])
    masked = np.where(idle[:, :, None] | idle[:, None, :], 0.0, information)
    masked[:, diagonal, diagonal] += idle
    conditions = judge.condition(masked)
    known = conditions < 1 / np.finfo(float).eps
    masked[~known] = np.eye(len(diagonal))
    scale = np.sqrt(masked[:, diagonal, diagonal])
    matrix = masked / scale[:, :, None] / scale[:, None, :]
    inverse = np.linalg.inv(matrix) / scale[:, :, None] / scale[:, None, :]
    inverse = np.where(idle[:, :, None] | idle[:, None, :], 0.0, inverse)
    inverse[~known] = np.nan
    return inverse, conditions
