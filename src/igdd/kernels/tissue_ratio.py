"""Ratios of exposures: tissue to plasma (Kp), organ to organ, formulation to formulation.

Kp is AUC in the tissue over AUC in the plasma, never the ratio at one time. The two may come from
other animals (independent) or from the same (paired): an animal killed for its organs gave its
blood too, and what the two share drops out of the ratio. Paired values are a design of twice the
columns, so that the covariance is that of `sparse_means.weighted_means`, whatever the design.

Limits are given on the log scale (delta method) and by Fieller's theorem: the r for which the
numerator less r times the denominator is not told from zero (J R Stat Soc B 1954;16:175). Fieller's
set has no bounds where the denominator is not told from zero: NaN then. It is the one to take where
the denominator's coefficient of variation is above 15 %.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.sparse_comparison import LEVEL, quantile
from igdd.kernels.sparse_exposure import Start, area_weights
from igdd.kernels.sparse_means import Sparse, weighted_means

LARGEST_CV = 0.15  # of the denominator, above which the log-delta limits are not to be trusted


class TissueRatio(NamedTuple):
    """A ratio of exposures and its limits.

    standard_error, freedom   of the ratio, delta method
    low, high                 log-delta, or Fieller where the denominator's CV is above 15 %
    log_low .. fieller_high   both kinds; NaN where Fieller's set has no bounds
    by_fieller                which kind low and high are
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    freedom: np.ndarray
    low: np.ndarray
    high: np.ndarray
    log_low: np.ndarray
    log_high: np.ndarray
    fieller_low: np.ndarray
    fieller_high: np.ndarray
    by_fieller: np.ndarray


def independent_ratio(upper: Sparse, lower: Sparse, level: float = LEVEL) -> TissueRatio:
    """Ratio of two independent quantities, upper over lower; NaN where the lower is not above 0.

    Degrees of freedom by Satterthwaite for upper - r lower at the estimated ratio.

    >>> found = independent_ratio(Sparse(np.array(4.0), np.array(0.2), np.array(8.0)),
    ...                           Sparse(np.array(2.0), np.array(0.1), np.array(8.0)))
    >>> float(found.estimate), float(found.standard_error.round(4)), float(found.freedom.round(9))
    (2.0, 0.1414, 16.0)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(lower.estimate > 0, upper.estimate / lower.estimate, np.nan)
        parts = upper.standard_error**2, (ratio * lower.standard_error) ** 2
        below = sum(
            np.where(one > 0, one**2 / group.freedom, 0.0)
            for one, group in zip(parts, (upper, lower), strict=True)
        )
        freedom = np.where(below > 0, (parts[0] + parts[1]) ** 2 / below, np.nan)
    return _limits((upper, lower), np.zeros_like(ratio), np.asarray(freedom), level)


def correlated_ratio(upper: Sparse, lower: Sparse, covariance: np.ndarray) -> TissueRatio:
    """Ratio of two quantities whose covariance is known, each with its standard error; normal.

    >>> one = Sparse(np.array(4.0), np.array(0.4), np.array(np.inf))
    >>> bool(correlated_ratio(one, one, np.array(0.16)).standard_error < 1e-8)
    True
    """
    freedom = np.full_like(np.asarray(upper.estimate, float), np.inf)
    return _limits((upper, lower), np.asarray(covariance, float), freedom, LEVEL)


def paired_ratio(
    upper: tuple[np.ndarray, np.ndarray],
    lower: tuple[np.ndarray, np.ndarray],
    *,
    start: Start = "first_sample",
    level: float = LEVEL,
) -> TissueRatio:
    """Ratio of two areas of the same animals, linear rule: values (..., animal, time) and times.

    Rows of the two are the same animals; times may differ, and an animal may lack either. Without
    an animal in both it is the ratio of independent areas.

    >>> plasma, hours = np.array([[4.0, 2.0], [6.0, 3.0], [5.0, 2.0]]), np.array([1.0, 3.0])
    >>> found = paired_ratio((2 * plasma, hours), (plasma, hours))
    >>> float(found.estimate), float(found.standard_error)
    (2.0, 0.0)
    """
    if upper[0].shape[:-1] != lower[0].shape[:-1]:
        raise InputError(
            f"tissue of shape {upper[0].shape}, plasma of {lower[0].shape}; expected a row of both "
            "for each animal"
        )
    above, under = (area_weights(*one, start) for one in (upper, lower))
    first, second = (
        weighted_means(columns, weights)._replace(estimate=value)
        for value, columns, weights in (above, under)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(second.estimate > 0, first.estimate / second.estimate, np.nan)
    known = np.where(np.isfinite(ratio), ratio, 1.0)
    rest = weighted_means(
        np.concatenate([above[1], under[1]], axis=-1),
        np.concatenate([above[2], -known[..., None] * under[2]], axis=-1),
    )
    # Var(N - r D) = Var N - 2 r Cov + r^2 Var D, solved for the covariance.
    own = first.standard_error**2 + (known * second.standard_error) ** 2
    below = np.where(known != 0, 2 * known, 1.0)
    covariance = np.where(known != 0, (own - rest.standard_error**2) / below, 0.0)
    return _limits((first, second), covariance, rest.freedom, level)


def _limits(
    pair: tuple[Sparse, Sparse], covariance: np.ndarray, freedom: np.ndarray, level: float
) -> TissueRatio:
    """Both kinds of limits of upper over lower, from variances and covariance."""
    upper, lower = pair
    above = upper.standard_error**2
    under = np.where(lower.estimate > 0, lower.standard_error, np.nan) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(lower.estimate > 0, upper.estimate / lower.estimate, np.nan)
        variance = np.maximum(above - 2 * ratio * covariance + ratio**2 * under, 0.0)
        error = np.sqrt(variance) / lower.estimate
        t = quantile(freedom, level)
        reach = t * error / np.where(ratio > 0, ratio, np.nan)
        # (N - r D)^2 = t^2 (var N - 2 r cov + r^2 var D), a quadratic in r.
        square = lower.estimate**2 - t**2 * under
        middle = upper.estimate * lower.estimate - t**2 * covariance
        root = np.sqrt(np.maximum(middle**2 - square * (upper.estimate**2 - t**2 * above), 0.0))
        bounded = square > 0
        fieller = [np.where(bounded, (middle + sign * root) / square, np.nan) for sign in (-1, 1)]
        by_fieller = np.sqrt(under) / lower.estimate > LARGEST_CV
    with np.errstate(over="ignore"):  # a ratio that is not known at all: no upper limit
        logs = [ratio * np.exp(sign * reach) for sign in (-1, 1)]
    low, high = (np.where(by_fieller, f, one) for f, one in zip(fieller, logs, strict=True))
    return TissueRatio(
        ratio, np.asarray(error), freedom, np.asarray(low), np.asarray(high), logs[0], logs[1],
        fieller[0], fieller[1], np.asarray(by_fieller),
    )  # fmt: skip
