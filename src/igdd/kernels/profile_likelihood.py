"""Profile likelihood: how far a parameter can go before the others cannot make up for it.

With a parameter held and all others fitted anew, the deviance (-2 ln likelihood) rises above its
minimum; the interval ends where the rise is that of chi2 with one degree of freedom. It follows a
curved or one-sided likelihood where value +- 2 standard errors does not, and it has no end where
the data set none.
Venzon and Moolgavkar, Appl Stat 1988;37:87; Raue and others, Bioinformatics 2009;25:1923.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.kernels import judge
from igdd.kernels.curve_slopes import Predict
from igdd.kernels.levenberg import fit_curves
from igdd.kernels.linear import weights

# The steps outward double from a standard error; so many lead beyond any number of use.
STEPS = 40
# Relative precision of an end, and refits that it may take.
PRECISION = 1e-4
MOST = 60
# A deviance so far below the supposed minimum is another minimum, not rounding.
BETTER = 1e-3


class Interval(NamedTuple):
    """Ends of an interval, or the parameter's own bounds; infinite where the deviance never rises
    enough.

    better  whether a lower deviance than the supposed minimum was met on the way
    """

    low: float
    high: float
    better: bool


class Situation(NamedTuple):
    """One fitted curve: model, values (t,), standard deviations (t,) or None, parameters (p,).

    sd      how the frames compare; the size of the noise is estimated with the rest
    bounds  (p, 2); free (p,) which parameters were fitted
    """

    predict: Predict
    values: np.ndarray
    sd: np.ndarray | None
    parameters: np.ndarray
    bounds: np.ndarray
    free: np.ndarray


def rise(frames: int, fitted: int, level: float = 0.95) -> float:
    """Rise of the deviance at the ends of an interval, from n samples and k fitted parameters.

    n ln(1 + F / (n - k)) with F of 1 and n - k degrees of freedom: for a linear model the interval
    is then Student's, however few the samples (Bates and Watts, Nonlinear Regression, 1988, 6.1).
    For many samples it is the quantile of chi2 with one degree of freedom.

    >>> round(rise(10, 2), 4), round(rise(10**7, 2), 4)
    (5.0965, 3.8415)
    """
    spare = frames - fitted
    if spare < 1:
        return float("inf")
    return float(frames * np.log1p(special.fdtri(1, spare, level) / spare))


def profile_likelihood(
    deviance: Callable[[float], float],
    best: float,
    step: float,
    bounds: tuple[float, float],
    limit: float,
) -> Interval:
    """Interval of a parameter in which the least deviance stays within `limit` of its minimum.

    deviance  value of the parameter -> least deviance over all others
    best      value at the minimum; step: about a standard error, where the search begins
    limit     rise at the ends, such as `rise` gives it

    >>> found = profile_likelihood(lambda x: (x - 3.0) ** 2 / 0.25, 3.0, 0.5, (0.0, np.inf), 3.8415)
    >>> round(found.low, 3), round(found.high, 3)
    (2.02, 3.98)
    """
    least = deviance(best)
    # With as many parameters as samples nothing is known of the noise, and all is possible.
    if not (np.isfinite(limit) and np.isfinite(least) and bounds[0] <= best <= bounds[1]):
        return Interval(*bounds, False)
    lowest = [least]

    def over(value: float) -> float:
        found = deviance(value)
        if np.isfinite(found):
            lowest.append(found)
        return found - least - limit if np.isfinite(found) else np.inf

    width = step if np.isfinite(step) and step > 0 else 0.1 * (abs(best) or 1.0)
    low = _end(over, best, -width, limit, bounds[0])
    high = _end(over, best, width, limit, bounds[1])
    return Interval(low, high, bool(min(lowest) < least - BETTER))


def _end(
    over: Callable[[float], float], best: float, step: float, limit: float, bound: float
) -> float:
    """One end of the interval: where the deviance has risen by the limit, or the bound before."""
    inner, depth = best, -limit
    for count in range(STEPS):
        outer = best + step * 2.0**count
        reached = (outer - bound) * np.sign(step) >= 0
        outer = bound if reached else outer
        height = over(outer)
        if height > 0:
            return _crossing(over, (inner, depth), (outer, height))
        if reached:
            return bound
        inner, depth = outer, height
    return float(np.sign(step) * np.inf)


def _crossing(
    over: Callable[[float], float], inner: tuple[float, float], outer: tuple[float, float]
) -> float:
    """Where the deviance passes the limit between a point within and one beyond: regula falsi by
    the Illinois rule, halving where the model has no value, as at a volume of 0."""
    (low, depth), (high, height) = inner, outer
    for _ in range(MOST):
        if abs(high - low) <= PRECISION * max(abs(low), abs(high)):
            break
        share = -depth / (height - depth) if np.isfinite(height) else 0.5
        middle = low + min(max(share, 0.02), 0.98) * (high - low)
        found = over(middle)
        if found > 0:
            high, height, depth = middle, found, depth / 2
        else:
            low, depth = middle, found
            height = height / 2
    return float((low + high) / 2)


def fitted_interval(situation: Situation, column: int, limit: float | None = None) -> Interval:
    """Interval of one parameter of a fitted curve, of 95 % unless a rise of the deviance is given.

    Each refit begins where the one before it ended, and at the best parameters.
    """
    weight = weights(situation.sd, situation.values[None].shape)[0]
    used = weight > 0
    frames, fitted = int(used.sum()), int(situation.free.sum())
    limit = rise(frames, fitted) if limit is None else limit
    deviance, error = _deviance_of(situation, column, weight, frames)
    best = float(situation.parameters[column])
    low, high = situation.bounds[column]
    return profile_likelihood(deviance, best, error, (float(low), float(high)), limit)


def _deviance_of(
    situation: Situation, column: int, weight: np.ndarray, frames: int
) -> tuple[Callable[[float], float], float]:
    """The profile of one parameter as a function, and its linear standard error."""
    last = {"start": situation.parameters}
    values, used = situation.values[None], weight > 0
    sd = None if situation.sd is None else situation.sd[None]

    def squares(parameters: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            curve = situation.predict(parameters[None])[0]
            return float(np.sum(np.where(used, (curve - situation.values) * weight, 0.0) ** 2))

    def deviance(value: float) -> float:
        free = situation.free.copy()
        free[column] = False
        starts = np.stack([last["start"], situation.parameters])
        starts[:, column] = value
        if free.any():
            bounds = np.where(free[:, None], situation.bounds, [-np.inf, np.inf])
            found = fit_curves(situation.predict, values, sd, starts, bounds, free=free)
            if found.status[0] & judge.NOT_FITTED:
                return float("inf")
            parameters = found.parameters[0]
        else:
            parameters = starts[0]
        total = squares(parameters)
        if not np.isfinite(total):
            return float("inf")
        last["start"] = parameters
        return frames * float(np.log(max(total, 1e-300)))

    local = fit_curves(
        situation.predict, values, sd, situation.parameters[None], situation.bounds,
        free=situation.free,
    )  # fmt: skip
    return deviance, float(np.sqrt(local.covariance[0, column, column]))
