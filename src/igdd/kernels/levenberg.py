"""Levenberg-Marquardt for many curves at once, with bounds, several starts, covariance and status.

The steps are those of `igdd.kernels.descent`. Where they end on a kink of the sum of squares,
`igdd.kernels.kinks` says whether that is the minimum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.curve_slopes import (
    Point,
    Predict,
    Problem,
    information_at,
    sum_of_squares,
    weighted,
)
from igdd.kernels.descent import descend
from igdd.kernels.kinks import finish
from igdd.kernels.linear import weights

ITERATIONS = 200
# With several starts: every one gets a few steps, then the best of each curve go on to the end.
SCOUTING = 6
KEPT = 3
# A rival is another end that follows the curve as well, to 95 %, and lies so many times as far from
# the best as the 95 % interval of a parameter reaches. Where it is looked for, more go on.
RIVAL, KEPT_AS_RIVALS = 2.0, 6
# Relative difference of two sums of squares that is rounding: the same curve, terms exchanged.
SAME = 1e-9
# Numbers held at once for the derivatives of a batch.
BATCH = 4_000_000


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


def fit_curves(
    predict: Predict,
    values: np.ndarray,
    sd: np.ndarray | None,
    starts: np.ndarray,
    bounds: np.ndarray,
    *,
    free: np.ndarray | None = None,
    jacobian: Predict | None = None,
    known: np.ndarray | float = 0.0,
    absolute: bool = False,
    rivals: bool = False,
) -> Fitted:
    """Parameters that bring `predict` nearest to curves (n, t), by weighted least squares.

    predict   parameters (m, p) -> curves (m, t), row by row independent
    sd        (t,) or (n, t); infinite: the frame is not used; None: all frames alike
    starts    (s, p) for all curves or (n, s, p); the best end of each curve is kept
    bounds    (p, 2); infinite where there is none
    free      (p,) which parameters are fitted; the others stay at their start
    jacobian  parameters (m, p) -> (m, t, p); None: central differences inside the bounds
    known     (p,) errors up to which parameters are known however small they are
    absolute  whether `sd` is in the unit of `values`; else it only says how frames compare, and the
              covariance is scaled by the residual variance with n - k degrees of freedom
    rivals    whether a curve that another start follows as well, to 95 %, but with parameters far
              outside of the intervals, is poorly identified; not with `absolute`

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
    problem = Problem(predict, jacobian, low, high, free, _floor(starts, bounds))
    target = np.where(weight > 0, values, 0.0) * weight
    fit = np.isfinite(target).all(axis=1) & (target != 0).any(axis=1)
    fit &= (weight > 0).sum(axis=1) >= free.sum()
    found = np.full((len(values), len(bounds)), np.nan)
    settled = np.zeros(len(values), dtype=bool)
    several = min(KEPT_AS_RIVALS if rivals else KEPT, starts.shape[1])
    ends = np.full((len(values), several, len(bounds)), np.nan)
    squares = np.full((len(values), several), np.nan)
    for rows in _batches(np.flatnonzero(fit), starts.shape[1] * values.shape[1] * len(bounds)):
        found[rows], settled[rows], ends[rows], squares[rows] = _best(
            problem, target[rows], weight[rows], starts[rows], several
        )
    described = _described(problem, (found, settled), (target, weight), known, absolute)
    if rivals:
        open_ = _rivalled(described, ends, squares, (weight > 0).sum(axis=1), free)
        described.status[open_] |= judge.POORLY_IDENTIFIED
    return described


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
    """Least size (p,) by which a parameter near 0 is varied: a part of what the starts and the
    bounds leave to it, so that its effect stands out of the rounding."""
    with np.errstate(invalid="ignore"):
        size = np.nanmax(np.abs(np.where(np.isfinite(starts), starts, 0.0)), axis=(0, 1), initial=0)
    width = np.where(np.isfinite(bounds).all(axis=1), bounds[:, 1] - bounds[:, 0], 0.0)
    size = np.maximum(1e-3 * size, 1e-4 * width)
    return np.where(size > 0, size, 1e-6)


def _batches(rows: np.ndarray, each: int) -> list[np.ndarray]:
    """Rows in parts whose derivatives fit into memory together."""
    if not rows.size:
        return []
    return np.array_split(rows, max(1, -(-rows.size * each // BATCH)))


def _best(
    problem: Problem, target: np.ndarray, weight: np.ndarray, starts: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Best parameters (n, p) over all starts (n, s, p), and whether they have settled; the ends
    (n, r, p) of the `most` starts that were followed, and their sums of squares (n, r)."""
    curves, several, size = starts.shape
    kept = starts
    if several > 1:
        every = np.repeat(np.arange(curves), several)
        found, squares, _ = descend(
            problem, target[every], weight[every], starts.reshape(-1, size), SCOUTING
        )
        order = np.argsort(squares.reshape(curves, several), axis=1, kind="stable")[:, :most]
        kept = np.take_along_axis(found.reshape(starts.shape), order[:, :, None], axis=1)
    several = kept.shape[1]
    every = np.repeat(np.arange(curves), several)
    found, squares, settled = descend(
        problem, target[every], weight[every], kept.reshape(-1, size), ITERATIONS
    )
    ends, squares = found.reshape(kept.shape), squares.reshape(curves, several)
    choice = np.arange(curves) * several + np.argmin(squares, axis=1)
    lost = ~np.isfinite(squares.ravel()[choice])
    found, settled = np.where(lost[:, None], np.nan, found[choice]), settled[choice] & ~lost
    if (rows := np.flatnonzero(~settled & ~lost)).size:
        found[rows], settled[rows] = finish(problem, target[rows], weight[rows], found[rows])
    return found, settled, ends, squares


def _rivalled(
    described: Fitted,
    ends: np.ndarray,
    squares: np.ndarray,
    frames: np.ndarray,
    free: np.ndarray,
) -> np.ndarray:
    """Which curves (n,) have a rival: their intervals miss what the data allow."""
    fitted = int(free.sum())
    spare = np.maximum(frames - fitted, 1)[:, None]
    reach = special.fdtri(1, spare, 0.95)  # the square of Student's
    spread = np.einsum("npp->np", described.covariance)[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = squares / squares.min(axis=1, keepdims=True)
        as_well = (ratio > 1 + SAME) & (ratio < 1 + reach / spare) & (frames > fitted)[:, None]
        apart = (ends - described.parameters[:, None]) ** 2 > RIVAL**2 * reach[..., None] * spread
        return np.asarray((as_well & (apart & (spread > 0)).any(axis=2)).any(axis=1))


def _described(
    problem: Problem,
    ends: tuple[np.ndarray, np.ndarray],
    data: tuple[np.ndarray, np.ndarray],
    known: np.ndarray | float,
    absolute: bool,
) -> Fitted:
    """Covariance, prediction and status of what was found."""
    (found, settled), (target, weight) = ends, data
    curves, size = found.shape
    fitted = np.flatnonzero(np.isfinite(found).all(axis=1))
    covariance = np.full((curves, size, size), np.nan)
    predicted = np.full(target.shape, np.nan)
    status = np.full(curves, judge.NOT_FITTED)
    for rows in _batches(fitted, target.shape[1] * size):
        reached = weighted(problem, found[rows], weight[rows])
        squares = sum_of_squares(reached, target[rows])
        point = Point(found[rows], reached, target[rows], weight[rows])
        information, _ = information_at(problem, point, central=True)
        at_bound = problem.free & ((found[rows] <= problem.low) | (found[rows] >= problem.high))
        idle = ~problem.free | at_bound
        covariance[rows], conditions = _beside_bounds(information, idle, at_bound)
        spare = (weight[rows] > 0).sum(axis=1) - (~idle).sum(axis=1)
        if not absolute:
            variance = np.where(spare > 0, squares / np.maximum(spare, 1), np.nan)
            covariance[rows] *= variance[:, None, None]
        unsure = judge.poorly_identified(
            found[rows], covariance[rows], conditions, low=problem.low, known=known
        )
        status[rows] = (
            np.where(settled[rows], 0, judge.NOT_CONVERGED)
            | np.where(at_bound.any(axis=1), judge.AT_BOUND, 0)
            | np.where(unsure, judge.POORLY_IDENTIFIED, 0)
        )
        used = weight[rows] > 0
        predicted[rows] = np.divide(reached, weight[rows], out=predicted[rows], where=used)
    return Fitted(found, covariance, status, predicted)


def _beside_bounds(
    information: np.ndarray, idle: np.ndarray, at_bound: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `_covariance` of what is not idle; a parameter at its bound is as unknown as any other.

    To say that it is known there would make the others' errors too small: of a tissue whose Vb ends
    at 0, VT's by a factor of four. Where it is hard to tell from the others, such as Vb from a
    delay, only the bound keeps them apart, and not the data: the bound stays, and the condition is
    infinite.
    """
    covariance, conditions = _covariance(information, idle)
    some = np.flatnonzero(at_bound.any(axis=1))
    if some.size:
        wide, _ = _covariance(information[some], idle[some] & ~at_bound[some])
        wide = np.where(idle[some, :, None] | idle[some, None, :], 0.0, wide)
        near, far = (np.einsum("mpp->mp", one) for one in (covariance[some], wide))
        told = (far <= judge.TOLD_APART**2 * near).all(axis=1)
        covariance[some[told]] = wide[told]
        conditions[some[~told]] = np.inf
    return covariance, conditions


def _covariance(information: np.ndarray, idle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse information (m, p, p) of the parameters that are not idle, and its condition (m,)."""
    diagonal = np.arange(idle.shape[1])
    masked = np.where(idle[:, :, None] | idle[:, None, :], 0.0, information)
    masked[:, diagonal, diagonal] += idle
    conditions = judge.condition(masked)
    # Columns that are equal to the last digit have a condition of rounding, just below 1 / eps.
    known = conditions < 0.1 / np.finfo(float).eps
    masked[~known] = np.eye(len(diagonal))
    scale = np.sqrt(masked[:, diagonal, diagonal])
    matrix = masked / scale[:, :, None] / scale[:, None, :]
    inverse = np.linalg.inv(matrix) / scale[:, :, None] / scale[:, None, :]
    inverse = np.where(idle[:, :, None] | idle[:, None, :], 0.0, inverse)
    inverse[~known] = np.nan
    return inverse, conditions
