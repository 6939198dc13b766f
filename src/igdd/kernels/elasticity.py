"""Elasticities: by how many percent an outcome changes when a parameter rises by one percent.

E = d ln f / d ln p, by central differences on the logarithms with two steps and Richardson
extrapolation; the difference of the two says how far the figure can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError

# Change of the logarithm: large against the solver's tolerance, small against curvature.
STEP = 0.04


class Elasticities(NamedTuple):
    """Elasticities (parameter, outcome) and their numerical error, as estimated."""

    value: np.ndarray
    error: np.ndarray


def elasticities(
    outcomes: Callable[[np.ndarray], np.ndarray], point: np.ndarray, step: float = STEP
) -> Elasticities:
    """Elasticities of outcomes > 0 with respect to parameters at a point (p,).

    outcomes  parameters (m, p) -> outcomes (m, q), all points in one call
    A parameter of 0 has elasticity 0. Where an outcome is not above zero it is NaN.

    >>> def area(sides):
    ...     return (sides[:, :1] ** 2 / sides[:, 1:])
    >>> elasticities(area, np.array([3.0, 5.0])).value.round(9).ravel()
    array([ 2., -1.])
    """
    point = np.asarray(point, dtype=float)
    if point.ndim != 1 or not np.isfinite(point).all() or (point < 0).any():
        raise InputError("elasticities need finite parameters of at least 0, one row of them")
    size = point.size
    shifts = np.concatenate(
        [sign * share * step * np.eye(size) for share in (1.0, 0.5) for sign in (1.0, -1.0)]
    )
    found = np.asarray(outcomes(point * np.exp(shifts)), dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(found > 0, found, np.nan)).reshape(2, 2, size, -1)
    coarse, fine = (
        (logs[k, 0] - logs[k, 1]) / (2 * share * step) for k, share in enumerate((1.0, 0.5))
    )
    value = fine + (fine - coarse) / 3
    return Elasticities(value, np.abs(value - fine))
