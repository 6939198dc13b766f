"""A straight line through points whose two coordinates both have errors.

With errors of known relative size in x and y, independent of one another and between points, the
slope b and the level a of y = a + b x make

    S(b) = min over a of sum w_i (y_i - a - b x_i)^2,    w_i = 1 / (sd_y,i^2 + b^2 sd_x,i^2)

least: the maximum of the likelihood (York et al., Am J Phys 2004;72:367, doi:10.1119/1.1632486).
The standard deviations say how errors compare; S / (n - 2) says how large they are. The limits hold
all slopes with S(b) <= S_min (1 + t^2 / (n - 2)), t of Student with n - 2 degrees of freedom: for
errors in y alone they are those of ordinary regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

# Directions of a line that are tried before the best is refined; those of an interval's inside.
DIRECTIONS = 361
INSIDE = 201
# Steps of the fixed point; each gains digits, as the errors are small beside the points' spread.
POLISHING = 20


class Points(NamedTuple):
    """Points (n,) with the standard deviations of both coordinates, all above zero."""

    x: np.ndarray
    y: np.ndarray
    x_sd: np.ndarray
    y_sd: np.ndarray


class Line(NamedTuple):
    """A line y = level + slope x, the limits of its slope, and other lines as likely as those.

    slope_limits  NaN where no slope in some direction can be excluded
    slopes        (m,) from one limit to the other; levels (m, 2) the range of levels at each
    """

    slope: float
    level: float
    slope_limits: tuple[float, float]
    slopes: np.ndarray
    levels: np.ndarray


def line(points: Points, tail: float = 0.025) -> Line:
    """The likeliest line through three or more points, with limits that leave `tail` on each side.

    >>> x = np.array([1.0, 2.0, 3.0, 4.0])
    >>> found = line(Points(x, 2 * x + 1, np.ones(4), np.ones(4)))
    >>> round(found.slope, 6), round(found.level, 6)
    (2.0, 1.0)
    """
    # Directions are spread evenly where both axes are in units of their own scatter.
    scale = float(np.std(points.y) / np.std(points.x)) or 1.0
    tried = np.linspace(-np.pi / 2, np.pi / 2, DIRECTIONS + 2)[1:-1]

    def misfit(direction: np.ndarray | float) -> np.ndarray:
        return _squares(points, scale * np.tan(direction))[0]

    best = int(misfit(tried).argmin())
    ends = tried[max(best - 1, 0)], tried[min(best + 1, tried.size - 1)]
    nearest = optimize.minimize_scalar(lambda one: misfit(one)[0], bounds=ends, method="bounded").x
    slope = scale * float(np.tan(nearest))
    polished = _polished(points, slope)
    if _squares(points, polished)[0] <= _squares(points, slope)[0]:
        slope = polished
    least, level, _ = (float(one[0]) for one in _squares(points, slope))
    freedom = points.x.size - 2
    limit = least * (1 + float(special.stdtrit(freedom, 1 - tail)) ** 2 / freedom)
    direction = float(np.arctan(slope / scale))
    low, high = (
        scale * float(np.tan(_crossing(lambda one: misfit(one)[0] - limit, direction, side)))
        for side in (tried[tried < direction], tried[tried > direction])
    )
    slopes = np.linspace(low, high, INSIDE)
    squares, levels, totals = _squares(points, slopes)
    reach = np.sqrt(np.maximum(limit - squares, 0.0) / totals)
    return Line(
        slope, level, (low, high), slopes, np.column_stack([levels - reach, levels + reach])
    )


def _squares(
    points: Points, slope: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """S of slopes (m,), the levels that belong to them, and the sums of their weights."""
    slopes = np.atleast_1d(slope)[:, None]
    weight = 1 / (points.y_sd**2 + (slopes * points.x_sd) ** 2)
    total = weight.sum(axis=1)
    middle, height = (weight @ one / total for one in (points.x, points.y))
    away = points.y - height[:, None] - slopes * (points.x - middle[:, None])
    return np.sum(weight * away**2, axis=1), height - slopes[:, 0] * middle, total


def _polished(points: Points, slope: float) -> float:
    """The slope to its last digits, where S is too flat to tell them (York's fixed point)."""
    x_var, y_var = points.x_sd**2, points.y_sd**2
    for _ in range(POLISHING):
        weight = 1 / (y_var + slope**2 * x_var)
        across, up = (one - weight @ one / weight.sum() for one in (points.x, points.y))
        moment = weight**2 * (across * y_var + slope * up * x_var)
        below = float(moment @ across)
        if not below:
            break
        slope = float(moment @ up) / below
    return slope


def _crossing(over: Callable[[float], float], inside: float, places: np.ndarray) -> float:
    """Where `over` first rises above zero on the way outward; NaN where it never does."""
    if over(inside) >= 0:  # points on a line, to rounding
        return inside
    for place in sorted(places, key=lambda one: abs(one - inside)):
        if over(place) > 0:
            return float(optimize.brentq(over, inside, place, xtol=1e-12))
        inside = place
    return float("nan")
