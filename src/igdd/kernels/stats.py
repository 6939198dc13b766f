"""Small-sample statistics on plain arrays: Welch, Fieller, Holm, and nested variance components.

Everything works along the last axis, so that a test can run thousands of trials in one call.
Distribution functions come from `scipy.special`, which imports in a tenth of `scipy.stats`' time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2


class Difference(NamedTuple):
    """Difference of two means, its standard error and its degrees of freedom."""

    estimate: np.ndarray
    standard_error: np.ndarray
    freedom: np.ndarray


class Ratio(NamedTuple):
    """Ratio of two means and its 95 % limits; NaN limits where the interval is unbounded."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _mean_variance(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the last axis, and the variance of that mean.

    A spread within rounding is no spread: identical values must not give a standard error of 1e-17.
    """
    mean = values.mean(axis=-1)
    variance = values.var(axis=-1, ddof=1)
    rounding = (4 * np.finfo(float).eps * np.abs(values).max(axis=-1)) ** 2
    return mean, np.where(variance > rounding, variance, 0.0) / values.shape[-1]


def _satterthwaite(first: np.ndarray, second: np.ndarray, sizes: tuple[int, int]) -> np.ndarray:
    """Degrees of freedom of a sum of two variances of means; NaN where both are zero."""
    below = first**2 / (sizes[0] - 1) + second**2 / (sizes[1] - 1)
    return np.asarray(
        np.divide((first + second) ** 2, below, out=np.full_like(below, np.nan), where=below > 0)
    )


def welch(first: np.ndarray, second: np.ndarray) -> Difference:
    """Difference of means, second minus first, of arms with variances of their own.

    Welch 1947 (doi:10.1093/biomet/34.1-2.28), degrees of freedom after Satterthwaite. At least two
    values in each arm. Where neither arm has any spread the standard error is NaN: there is nothing
    to tell a difference by.

    >>> welch(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])).estimate
    array(3.)
    """
    (mean_1, variance_1), (mean_2, variance_2) = _mean_variance(first), _mean_variance(second)
    variance = variance_1 + variance_2
    freedom = _satterthwaite(
        np.atleast_1d(variance_1), np.atleast_1d(variance_2), (first.shape[-1], second.shape[-1])
    ).reshape(np.shape(variance))
    error = np.where(variance > 0, np.sqrt(variance), np.nan)
    return Difference(np.asarray(mean_2 - mean_1), np.asarray(error), np.asarray(freedom))


def p_value(difference: Difference) -> np.ndarray:
    """Two-sided p of no difference, by Student's t."""
    t = np.abs(difference.estimate) / difference.standard_error
    return np.asarray(2 * special.stdtr(difference.freedom, -t))


def interval(difference: Difference) -> tuple[np.ndarray, np.ndarray]:
    """95 % limits of a difference, by Student's t."""
    half = special.stdtrit(difference.freedom, 1 - TAIL) * difference.standard_error
    return np.asarray(difference.estimate - half), np.asarray(difference.estimate + half)


def fieller(first: np.ndarray, second: np.ndarray) -> Ratio:
    """Ratio of arithmetic means, second over first, of independent arms with unequal variances.

    The limits are the roots r of (m2 - r m1)^2 = t^2 (v2 + r^2 v1), with Satterthwaite's degrees of
    freedom at the estimated ratio (Fieller 1954, J R Stat Soc B 16:175; Tamhane, Logan 2004,
    J Biopharm Stat 14:843). Where the first mean is not above zero by its own t test, the set of
    such r is unbounded: the limits are NaN. Where it is not above zero at all, so is the ratio.
    """
    (mean_1, variance_1), (mean_2, variance_2) = _mean_variance(first), _mean_variance(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mean_1 > 0, mean_2 / mean_1, np.nan)
        scaled = ratio**2 * variance_1
        freedom = _satterthwaite(
            np.atleast_1d(scaled), np.atleast_1d(variance_2), (first.shape[-1], second.shape[-1])
        ).reshape(np.shape(scaled))
        t2 = special.stdtrit(freedom, 1 - TAIL) ** 2
        g = t2 * variance_1 / mean_1**2
        root = np.sqrt(t2 * (variance_2 * (1 - g) + variance_1 * ratio**2)) / mean_1
        bounded = (g < 1) & (mean_1 > 0)
        low = np.where(bounded, (ratio - root) / (1 - g), np.nan)
        high = np.where(bounded, (ratio + root) / (1 - g), np.nan)
    return Ratio(np.asarray(ratio), np.asarray(low), np.asarray(high))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p of one family: the family-wise error holds for any dependence.

    NaN stays NaN and does not count as a test (Holm 1979, Scand J Stat 6:65).

    >>> holm(np.array([0.01, np.nan, 0.04, 0.03]))
    array([0.03,  nan, 0.06, 0.06])
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


@dataclass(frozen=True, kw_only=True)
class Components:
    """Variances between and within subjects, and the intraclass correlation, as (value, low, high).

    between  variance between the subjects of one arm
    within   variance between the values of one subject, its measurement error included
    share    between / (between + within), the intraclass correlation
    """

    between: tuple[float, float, float]
    within: tuple[float, float, float]
    share: tuple[float, float, float]


UNKNOWN = (float("nan"),) * 3


def components(values: np.ndarray, subject: np.ndarray, arm: np.ndarray) -> Components:
    """Variance components of values (n,) nested in subjects nested in arms, each arm with its mean.

    With w_i = n_i / (1 + n_i L), the ratio F(L) of sum w_i (m_i - m_arm)^2 / (subjects - arms) to
    the mean square within subjects has an F distribution at the true L = between / within, whatever
    the n_i (Wald 1940, Ann Math Stat 11:96): its quantiles give an exact interval of L and
    so of the intraclass correlation, and F(L) = 1 gives the estimate. The variance between subjects
    takes chi-square quantiles with the mean square within as known (Hartung, Knapp 2000,
    J Stat Comput Simul 65:311), the variance within subjects its exact chi-square interval.

    NaN where no subject has two values, or no arm two subjects.
    """
    labels, place, counts = np.unique(subject, return_inverse=True, return_counts=True)
    sums = np.bincount(place, weights=values)
    means = sums / counts
    arm_of = np.empty(labels.size, dtype=arm.dtype)
    arm_of[place] = arm
    squares = float(((values - means[place]) ** 2).sum())
    free_within = values.size - labels.size
    free_between = labels.size - np.unique(arm).size
    if free_within < 1 or not squares > 0:
        return Components(between=UNKNOWN, within=UNKNOWN, share=UNKNOWN)
    mean_square = squares / free_within
    within = (
        mean_square,
        squares / float(special.chdtri(free_within, TAIL)),
        squares / float(special.chdtri(free_within, 1 - TAIL)),
    )
    if free_between < 1:
        return Components(between=UNKNOWN, within=within, share=UNKNOWN)
    scale = free_between * mean_square

    def ratio(target: float) -> float:
        return _variance_ratio(target * scale, means, counts, arm_of)

    estimate = ratio(1.0)
    exact = [ratio(float(special.fdtri(free_between, free_within, q))) for q in (1 - TAIL, TAIL)]
    known = [ratio(float(special.chdtri(free_between, q)) / free_between) for q in (TAIL, 1 - TAIL)]
    between = (estimate * mean_square, known[0] * mean_square, known[1] * mean_square)
    share = (_share(estimate), _share(exact[0]), _share(exact[1]))
    return Components(between=between, within=within, share=share)


def _share(ratio: float) -> float:
    return ratio / (1 + ratio)


def _variance_ratio(target: float, means: np.ndarray, counts: np.ndarray, arm: np.ndarray) -> float:
    """The ratio L >= 0 at which the weighted sum of squares between subjects equals `target`."""
    from scipy.optimize import brentq

    inside = (arm == np.unique(arm)[:, None]).astype(float)

    def excess(ratio: float) -> float:
        weights = counts / (1 + counts * ratio)
        centres = (inside @ (weights * means)) / (inside @ weights)
        return float((weights * (means - centres @ inside) ** 2).sum()) - target

    if excess(0.0) <= 0:
        return 0.0
    top = 1.0
    while excess(top) > 0:
        top *= 4
    return float(brentq(excess, 0.0, top, xtol=1e-12, rtol=1e-12))
