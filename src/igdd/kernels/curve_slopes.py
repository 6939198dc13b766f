"""Weighted curves of a model near given parameters: prediction, sum of squares, derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# The square root of the rounding balances rounding and curvature in one-sided differences, which
# lead near the minimum; its cube root in central ones, which find it and its curvature.
ONE_SIDED = float(np.sqrt(np.finfo(float).eps))
CENTRAL = float(np.cbrt(np.finfo(float).eps))

Predict = Callable[[np.ndarray], np.ndarray]


def central_width(values: np.ndarray) -> np.ndarray:
    """How far parameters (n,) in SI are moved to both sides for a central difference."""
    return CENTRAL * np.where(values != 0, np.abs(values), 1e-6)


class Problem(NamedTuple):
    """What all curves share."""

    predict: Predict
    jacobian: Predict | None
    low: np.ndarray
    high: np.ndarray
    free: np.ndarray
    floor: np.ndarray


class Point(NamedTuple):
    """Where curves are: parameters (m, p), weighted prediction there, weighted curves, weights."""

    parameters: np.ndarray
    reached: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    def of(self, rows: np.ndarray) -> Point:
        """Some of the curves."""
        return Point(*(one[rows] for one in self))


def weighted(problem: Problem, parameters: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted prediction (m, t), 0 in frames that are not used."""
    with np.errstate(all="ignore"):
        return np.asarray(np.where(weight > 0, problem.predict(parameters), 0.0) * weight)


def sum_of_squares(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Sum of weighted squares (m,); infinite where the model has no value."""
    with np.errstate(all="ignore"):
        squares = np.sum((target - predicted) ** 2, axis=1)
    return np.where(np.isfinite(squares), squares, np.inf)


def information_at(problem: Problem, point: Point, central: bool) -> tuple[np.ndarray, np.ndarray]:
    """Information and gradient at a point."""
    weight = point.weight[..., None]
    with np.errstate(all="ignore"):
        if problem.jacobian is not None:
            slopes = np.where(weight > 0, problem.jacobian(point.parameters), 0.0)
            slopes = np.where(problem.free, slopes, 0.0) * weight
        else:
            slopes = _differences(problem, point, central)
    slopes[~np.isfinite(slopes)] = 0.0
    information = np.swapaxes(slopes, 1, 2) @ slopes
    gradient = np.einsum("mtp,mt->mp", slopes, point.target - point.reached)
    return information, gradient


def _differences(problem: Problem, point: Point, central: bool) -> np.ndarray:
    """Weighted derivatives (m, t, p) from points inside the bounds.

    One-sided, or the slope of the parabola through three points: here and one on each side, or two
    on the same side next to a bound, where that is as exact.
    """
    slopes = np.zeros((*point.reached.shape, len(problem.free)))
    share = CENTRAL if central else ONE_SIDED
    for j in np.flatnonzero(problem.free & (problem.low < problem.high)).tolist():
        low, high, here = problem.low[j], problem.high[j], point.parameters[:, j]
        width = share * np.maximum(np.abs(here), problem.floor[j])
        width = np.minimum(width, (high - low) / 4)
        above, below = here + width > high, here - width < low
        slope, near = _secant(problem, point, j, np.where(above, -width, width))
        if central:
            other = np.where(above, -2 * width, np.where(below, 2 * width, -width))
            second, far = _secant(problem, point, j, other)
            slope = (slope * far - second * near) / (far - near)
        slopes[:, :, j] = slope
    return slopes


def _secant(
    problem: Problem, point: Point, column: int, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slope (m, t) over a step of one parameter, and that step (m, 1) as the rounding leaves it."""
    moved = point.parameters.copy()
    moved[:, column] += step
    taken = (moved - point.parameters)[:, [column]]
    return (weighted(problem, moved, point.weight) - point.reached) / taken, taken
