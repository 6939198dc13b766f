"""The terminal slope of many profiles at once: log-linear regression of the best window.

Windows end at the last measured concentration and grow backwards, so that every sum of the
regression is a suffix sum and no window is fitted twice. Rules of Phoenix WinNonlin, as stated in
its user's guide: at least three points; none before the peak, nor at it except after a bolus; none
before the end of an infusion; the window of the highest adjusted R2, and among those within 1e-4
of it the one with the most points. That highest value is sought among the falling windows alone: a
rising one can be no terminal phase, and must not decide which falling ones are near enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEAR_BEST = 1e-4  # of adjusted R2, WinNonlin's tolerance
FEWEST = 3


class TerminalSlope(NamedTuple):
    """Terminal slope of each profile; NaN, and no points, where no window falls.

    rate      lambda_z [1/time]
    height    fitted concentration at the last measured time
    r2        R2 of the regression of log concentration on time
    r2_adjusted
    points    number of points of the window
    start     time of its first point
    """

    rate: np.ndarray
    height: np.ndarray
    r2: np.ndarray
    r2_adjusted: np.ndarray
    points: np.ndarray
    start: np.ndarray


def terminal_slope(
    times: np.ndarray, values: np.ndarray, usable: np.ndarray, allowed: np.ndarray
) -> TerminalSlope:
    """Best window of each row of `times` and `values` (profile, point), times ascending.

    usable    points that may enter a regression: measured, and above zero
    allowed   usable points at which a window may start

    >>> hours = np.array([[1.0, 2.0, 4.0, 8.0]])
    >>> found = terminal_slope(hours, 5 * np.exp(-0.2 * hours), hours > 0, hours > 1)
    >>> found.rate.round(12), found.points
    (array([0.2]), array([3.]))
    """
    count = times.shape[1]
    last = count - 1 - np.argmax(usable[:, ::-1], axis=1)
    row = np.arange(times.shape[0])
    end, logs = times[row, last], np.log(np.where(usable, values, 1.0))
    level = logs[row, last]
    # Counted from the last point, so that the sums of squares lose no digits.
    x = np.where(usable, times - end[:, None], 0.0)
    y = np.where(usable, logs - level[:, None], 0.0)
    points, sum_x, sum_y = (_suffix(one) for one in (usable.astype(float), x, y))
    below = np.maximum(points, 1.0)
    mean_x, mean_y = sum_x / below, sum_y / below
    square_x = _suffix(x * x) - sum_x * mean_x
    square_y = _suffix(y * y) - sum_y * mean_y
    cross = _suffix(x * y) - sum_x * mean_y
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = cross / square_x
        r2 = np.minimum(cross * slope / square_y, 1.0)
        adjusted = 1 - (1 - r2) * (points - 1) / (points - 2)
    falling = allowed & usable & (points >= FEWEST) & (slope < 0) & np.isfinite(adjusted)
    adjusted = np.where(falling, adjusted, -np.inf)
    best = adjusted.max(axis=1)
    # The first of those near the best is the one with the most points.
    window = np.argmax(adjusted >= best[:, None] - NEAR_BEST, axis=1)
    found = np.isfinite(best)

    def chosen(one: np.ndarray) -> np.ndarray:
        return np.where(found, one[row, window], np.nan)

    return TerminalSlope(
        rate=-chosen(slope),
        height=np.exp(level + chosen(mean_y) - chosen(slope) * chosen(mean_x)),
        r2=chosen(r2),
        r2_adjusted=chosen(adjusted),
        points=np.where(found, points[row, window], 0.0),
        start=chosen(times),
    )


def _suffix(one: np.ndarray) -> np.ndarray:
    """Sum from each column to the last."""
    return np.cumsum(one[:, ::-1], axis=1)[:, ::-1]
