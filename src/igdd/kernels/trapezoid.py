"""Areas under curves and under their first moments, segment by segment, and the linear weights.

A segment is a straight line between its two values, or an exponential; the caller says which.
"""

from __future__ import annotations

import numpy as np

SMALL = 1e-2  # below this the series of `_first_moment` is exact to 1e-13


def trapezoid_weights(times: np.ndarray) -> np.ndarray:
    """What each value counts in the linear trapezoidal rule, in the unit of time.

    >>> trapezoid_weights(np.array([0.0, 1.0, 3.0, 7.0]))
    array([0.5, 1.5, 3. , 2. ])
    """
    half = np.diff(times) / 2
    weights = np.zeros(times.shape)
    weights[:-1] += half
    weights[1:] += half
    return weights


def segments(
    begin: np.ndarray, end: np.ndarray, start: np.ndarray, stop: np.ndarray, by_logs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Area and first moment of each segment, linear or exponential between its two values.

    Exponential with L = ln(begin / end): area = step (begin - end) / L, and the moment about time
    zero is start area + begin step^2 (1 - (1 + L) exp(-L)) / L^2.
    """
    step = stop - start
    area = step * (begin + end) / 2
    moment = step * (start * begin + stop * end) / 2
    if by_logs.any():
        one, other, width = begin[by_logs], end[by_logs], step[by_logs]
        drop = np.log(one / other)
        falling = width * other * np.expm1(drop) / np.where(drop == 0, 1.0, drop)
        falling = np.where(drop == 0, width * one, falling)
        area[by_logs] = falling
        moment[by_logs] = start[by_logs] * falling + one * width**2 * _first_moment(drop)
    return area, moment


def _first_moment(drop: np.ndarray) -> np.ndarray:
    """(1 - (1 + L) exp(-L)) / L^2, by its series where the difference would lose digits."""
    small = np.abs(drop) < SMALL
    wide = np.where(small, 1.0, drop)
    series = 1 / 2 - drop * (1 / 3 - drop * (1 / 8 - drop * (1 / 30 - drop / 144)))
    return np.where(small, series, (1 - (1 + wide) * np.exp(-wide)) / wide**2)
