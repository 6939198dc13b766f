"""In vitro against in vivo: a straight line through what was released and what was absorbed.

Levy's plot sets the times at which equal shares are released in vitro and absorbed in vivo against
each other; a correlation of level A sets the shares at equal times. Either way a regression of y on
x: slope, intercept, R2, 95 % limits (Student's t). Guidance for Industry: Extended Release Oral
Dosage Forms, FDA 1997: a prediction is good where the mean absolute error is at most 10 % and none
is above 15 %.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.errors import InputError

LEVEL = 0.95
GOOD_MEAN, GOOD_EACH = 10.0, 15.0


class Line(NamedTuple):
    """A regression line with (low, high) limits at 95 %; NaN limits of two points."""

    slope: float
    intercept: float
    r2: float
    slope_limits: tuple[float, float]
    intercept_limits: tuple[float, float]
    points: int


def line(x: np.ndarray, y: np.ndarray) -> Line:
    """Least-squares line of y on x.

    >>> line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])).slope
    2.0
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x, dtype=float)[known], np.asarray(y, dtype=float)[known]
    if x.size < 2 or not np.ptp(x) > 0:
        raise InputError(
            f"a line through {x.size} points of {np.unique(x).size} abscissae; expected two or more"
        )
    centre, level = x.mean(), y.mean()
    spread = float(np.sum((x - centre) ** 2))
    slope = float(np.sum((x - centre) * (y - level)) / spread)
    intercept = float(level - slope * centre)
    squares = float(np.sum((y - intercept - slope * x) ** 2))
    whole = float(np.sum((y - level) ** 2))
    half = np.full(2, np.nan)
    if x.size > 2:
        sigma = np.sqrt(squares / (x.size - 2))
        errors = sigma * np.sqrt([1 / spread, 1 / x.size + centre**2 / spread])
        half = special.stdtrit(x.size - 2, (1 + LEVEL) / 2) * errors
    return Line(
        slope=slope,
        intercept=intercept,
        r2=1 - squares / whole if whole > 0 else float("nan"),
        slope_limits=(slope - float(half[0]), slope + float(half[0])),
        intercept_limits=(intercept - float(half[1]), intercept + float(half[1])),
        points=int(x.size),
    )


def times_of(shares: np.ndarray, time: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """When a rising curve first reaches each share, by straight lines; NaN where it does not.

    >>> times_of(np.array([0.25, 0.9]), np.array([0.0, 2.0]), np.array([0.0, 0.5]))
    array([ 1., nan])
    """
    found = np.full(np.shape(shares), np.nan)
    for place, share in enumerate(shares):
        past = np.flatnonzero(curve >= share)
        if not past.size:
            continue
        here = int(past[0])
        if here == 0:
            found[place] = time[0] if curve[0] == share else np.nan
            continue
        part = (share - curve[here - 1]) / (curve[here] - curve[here - 1])
        found[place] = time[here - 1] + part * (time[here] - time[here - 1])
    return found


def prediction_error(observed: float, predicted: float) -> float:
    """Prediction error in %: 100 (observed - predicted) / observed.

    >>> prediction_error(50.0, 45.0)
    10.0
    """
    if not observed > 0:
        raise InputError(f"observed value {observed:g}; expected one above 0")
    return 100 * (observed - predicted) / observed
