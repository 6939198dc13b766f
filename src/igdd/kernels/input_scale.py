"""Simultaneous estimation of an input function from many regions and one or a few blood samples.

All regions see the same input. Its shape parameters and its scale are those with which the regions'
curves, each with its own best kinetic parameters, and the blood samples are followed most closely:

    minimise   sum_regions sum_frames ((C - C_fit(input)) / sd)^2
               + sum_samples ((scale c(t; shape) - measured) / sd)^2

The regions' parameters are solved for inside (variable projection), so that only the input's few
numbers are searched. Tissue alone does not determine the scale: scale and K1 are exchangeable
unless the blood in the vessels has a known share. A blood sample ties it down (Ogden et al.,
J Cereb Blood Flow Metab 2010;30:816, doi:10.1038/jcbfm.2009.243).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels import judge

# Standardised residuals (n, t) of the regions for an input with (scale, *shape), each region with
# the parameters that suit it best; NaN in frames that were not used.
Residuals = Callable[[np.ndarray], np.ndarray]
# Input (m,) at the samples' times, for (scale, *shape).
Input = Callable[[np.ndarray], np.ndarray]

EVALUATIONS = 200
SETTLED = 1e-12


class Samples(NamedTuple):
    """Blood samples: times (m,) in s, values (m,) and standard deviations (m,) in their unit."""

    time: np.ndarray
    values: np.ndarray
    sd: np.ndarray


class SimultaneousInput(NamedTuple):
    """The input's numbers, found from all regions together.

    parameters  (p,) the scale first, then the shape
    covariance  (p, p) from the projected residuals, at their own variance
    squares     sum of squared standardised residuals
    status      bits of `igdd.kinetics.Status`
    """

    parameters: np.ndarray
    covariance: np.ndarray
    squares: float
    status: int


def estimate(
    regions: Residuals,
    curve: Input,
    samples: Samples | None,
    start: np.ndarray,
    bounds: np.ndarray,
) -> SimultaneousInput:
    """Scale and shape (p,) of the input common to all regions; `start` (p,), `bounds` (p, 2).

    POORLY_IDENTIFIED where the regions and samples leave a number open, as they do the scale
    without a sample and without a known share of blood; AT_BOUND where one lies at a bound, which
    then has variance 0 and no meaning as an interval.
    """
    from scipy.optimize import least_squares

    start = np.asarray(start, dtype=float)
    bounds = np.asarray(bounds, dtype=float)
    if (
        bounds.shape != (start.size, 2)
        or not ((bounds[:, 0] < start) & (start < bounds[:, 1])).all()
    ):
        raise InputError(
            f"start {start.tolist()} and bounds {bounds.tolist()}; expected one pair of bounds for "
            "every number, and the start between them"
        )
    residuals = _residuals(regions, curve, samples)
    first = residuals(start)
    if first.size <= start.size or not np.isfinite(first).all():
        raise InputError(
            f"{first.size} residuals, {np.sum(~np.isfinite(first))} of them not finite; expected "
            f"more than the {start.size} numbers of the input, all finite"
        )
    found = least_squares(
        residuals,
        start,
        bounds=(bounds[:, 0], bounds[:, 1]),
        x_scale=_scale(start, bounds),
        jac="3-point",
        max_nfev=EVALUATIONS,
        ftol=SETTLED,
        xtol=SETTLED,
        gtol=SETTLED,
    )
    return _described(found.x, np.asarray(found.jac), found.fun, bounds, int(found.status))


def _residuals(
    regions: Residuals, curve: Input, samples: Samples | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Everything that is to be small, in one row: the regions' residuals, then the samples'."""
    if samples is not None and not (np.asarray(samples.sd) > 0).all():
        raise InputError("a blood sample's standard deviation is not above 0; expected positive")

    def residuals(parameters: np.ndarray) -> np.ndarray:
        tissue = regions(parameters)
        tissue = tissue[~np.isnan(tissue)]
        if samples is None:
            return tissue
        blood = (curve(parameters) - samples.values) / samples.sd
        return np.concatenate([tissue, blood])

    return residuals


def _scale(start: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """A step of natural size for every number."""
    width = np.where(np.isfinite(bounds).all(axis=1), bounds[:, 1] - bounds[:, 0], 1.0)
    return np.where(start != 0, np.abs(start), width)


def _described(
    parameters: np.ndarray,
    jacobian: np.ndarray,
    residuals: np.ndarray,
    bounds: np.ndarray,
    ended: int,
) -> SimultaneousInput:
    """Covariance at the residuals' variance, and status."""
    reach = 1e-6 * np.maximum(np.abs(parameters), 1e-300)
    bound = (parameters - bounds[:, 0] <= reach) | (bounds[:, 1] - parameters <= reach)
    free = ~bound
    status = judge.AT_BOUND if bound.any() else 0
    status |= judge.NOT_CONVERGED if ended <= 0 else 0
    squares = float(residuals @ residuals)
    covariance = np.zeros((parameters.size, parameters.size))
    if free.any():
        length = np.linalg.norm(jacobian[:, free], axis=0)
        own = jacobian[:, free] / np.where(length > 0, length, 1.0)
        information = own.T @ own
        stiffness = judge.condition(information[None])
        variance = squares / (residuals.size - int(free.sum()))
        with np.errstate(divide="ignore"):
            inverse = np.linalg.pinv(information, hermitian=True) / np.outer(length, length)
        inverse = np.where(np.isfinite(inverse), inverse * variance, np.inf)
        covariance[np.ix_(free, free)] = inverse
        open_ = judge.poorly_identified(parameters[None, free], inverse[None], stiffness)
        status |= judge.POORLY_IDENTIFIED if open_[0] else 0
    return SimultaneousInput(parameters, covariance, squares, int(status))
