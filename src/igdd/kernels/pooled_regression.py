"""Regression with groups that borrow strength from each other, and where a new case stands in it.

    y = X b + sum over factors of Z u + s + e
    u ~ N(0, tau^2) of each factor, s ~ N(0, omega^2) of each series, e ~ N(0, sigma^2)

A group of few cases is drawn towards the mean of all by as much as its own scatter warrants
(partial pooling); a group that is not among those known has the factor's own spread. A series holds
cases that resemble each other because they come from one source; a new case is of a new series and
scatters by omega^2 + sigma^2. The variance ratios are those of restricted maximum likelihood
(Patterson, Thompson 1971, Biometrika 58:545), the rest follows from Henderson's equations (1975,
Biometrics 31:423), the series being absorbed: (I + r 11')^-1 = I - r / (1 + n r) 11'.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import special

# Ratios tau^2 / sigma^2 between which the likelihood is searched; below the first it is zero.
RATIOS = (1e-4, 1e3)
LEVELS = (0.025, 0.975)
NORMAL_95 = 1.959963984540054


class Pooled(NamedTuple):
    """A fitted regression.

    coefficients  (p,) of X, then the groups' effects (q,)
    inverse       (p + q, p + q) of Henderson's equations; times variance: covariance
    variance      of a residual within its series, sigma^2
    freedom       degrees of freedom of the scatter of a new case: series (or cases) less p
    ratios        tau^2 / sigma^2 of each factor; `series_ratio` omega^2 / sigma^2
    spans         columns of each factor among the coefficients, first and one past the last
    """

    coefficients: np.ndarray
    inverse: np.ndarray
    variance: float
    freedom: int
    ratios: np.ndarray
    series_ratio: float
    spans: tuple[tuple[int, int], ...]


class Prediction(NamedTuple):
    """What is expected of a new case: its mean, the variance of that mean, scatter, freedom."""

    mean: float
    variance_of_mean: float
    variance: float
    freedom: int


class Rank(NamedTuple):
    """A percentile and its 95 % interval."""

    percentile: float
    low: float
    high: float


class _Sums(NamedTuple):
    """What a fit needs of its cases: sums of products, sums within each series, their sizes."""

    gram: np.ndarray
    moment: np.ndarray
    square: float
    inside: np.ndarray
    response: np.ndarray
    sizes: np.ndarray


def fit_pooled(
    response: np.ndarray,
    design: np.ndarray,
    factors: tuple[np.ndarray, ...],
    series: np.ndarray | None = None,
) -> Pooled:
    """Fit (n,) responses to a design (n, p) of full rank and the codes (n,) of each factor.

    Codes count from 0; a code is a group. At least p + 2 cases. `series` are codes too; without
    them every case stands alone.
    """
    from scipy.optimize import minimize

    indicator = [np.eye(int(codes.max()) + 1)[codes] for codes in factors]
    repeat = np.array([part.shape[1] for part in indicator], dtype=int)
    columns = np.hstack([design, *indicator])
    sums = _sums(columns, response, series)
    fixed, count = design.shape[1], len(response)
    free = len(factors) + (series is not None)

    def badness(logs: np.ndarray) -> float:
        return _solved(sums, logs, repeat, count, fixed)[0]

    logs = np.zeros(0)
    if free:
        bounds = [(float(np.log(RATIOS[0])), float(np.log(RATIOS[1])))] * free
        tried = [
            minimize(badness, np.full(free, start, dtype=float), method="L-BFGS-B", bounds=bounds)
            for start in (-3.0, 0.0)
        ]
        logs = np.asarray(min(tried, key=lambda result: float(result.fun)).x)
    _, found, inverse, variance = _solved(sums, logs, repeat, count, fixed)
    edges = fixed + np.concatenate([[0], np.cumsum(repeat)]).astype(int)
    independent = count if series is None else sums.sizes.size
    return Pooled(
        coefficients=found,
        inverse=inverse,
        variance=variance,
        freedom=max(independent - fixed, 1),
        ratios=np.exp(logs[: len(factors)]),
        series_ratio=0.0 if series is None else float(np.exp(logs[-1])),
        spans=tuple((int(a), int(b)) for a, b in pairwise(edges)),
    )


def _sums(columns: np.ndarray, response: np.ndarray, series: np.ndarray | None) -> _Sums:
    member = np.zeros((0, len(response)))
    if series is not None:
        codes = np.unique(series, return_inverse=True)[1]
        member = (codes == np.arange(codes.max() + 1)[:, None]).astype(float)
    return _Sums(
        gram=columns.T @ columns,
        moment=columns.T @ response,
        square=float(response @ response),
        inside=member @ columns,
        response=member @ response,
        sizes=member.sum(axis=1),
    )


def _solved(
    sums: _Sums, logs: np.ndarray, repeat: np.ndarray, count: int, fixed: int
) -> tuple[float, np.ndarray, np.ndarray, float]:
    """-2 log restricted likelihood at log ratios, coefficients, inverse, residual variance."""
    ratios = np.exp(logs[: repeat.size])
    series = float(np.exp(logs[-1])) if sums.sizes.size else 0.0
    shrunk = series / (1 + sums.sizes * series)
    system = sums.gram - sums.inside.T @ (shrunk[:, None] * sums.inside)
    moment = sums.moment - sums.inside.T @ (shrunk * sums.response)
    square = sums.square - float(shrunk @ sums.response**2)
    place = np.arange(fixed, len(system))
    system[place, place] += np.repeat(1 / ratios, repeat)
    inverse = np.linalg.inv(system)
    found = inverse @ moment
    variance = max((square - float(found @ moment)) / (count - fixed), np.finfo(float).tiny)
    scaled = np.linalg.slogdet(system)[1] + float(repeat @ logs[: repeat.size])
    scaled += float(np.log1p(sums.sizes * series).sum())
    return (count - fixed) * float(np.log(variance)) + float(scaled), found, inverse, variance


def predict(fit: Pooled, row: np.ndarray, codes: tuple[int | None, ...]) -> Prediction:
    """What a new case is expected to be; a code of None is a group not seen before."""
    place = np.zeros(len(fit.coefficients))
    place[: len(row)] = row
    extra = 0.0
    for code, (begin, _), ratio in zip(codes, fit.spans, fit.ratios, strict=True):
        if code is None:
            extra += float(ratio)
        else:
            place[begin + code] = 1.0
    return Prediction(
        mean=float(place @ fit.coefficients),
        variance_of_mean=fit.variance * (float(place @ fit.inverse @ place) + extra),
        variance=fit.variance * (1 + fit.series_ratio),
        freedom=fit.freedom,
    )


def predictive_rank(value: float, sd: float, expected: Prediction) -> Rank:
    """Percentile of a value among new cases of its kind, by Student's t, with its interval.

    The interval holds how well the expectation is known, how well the scatter is (its chi-square),
    and the value's own standard deviation: the scale (value - mean) / scatter has the variance
    sd^2 / scatter^2 + variance_of_mean / scatter^2 + its square / (2 freedom).

    >>> predictive_rank(1.0, 0.0, Prediction(1.0, 0.01, 1.0, 200)).percentile
    50.0
    """
    total = np.sqrt(expected.variance + expected.variance_of_mean)
    percentile = 100 * float(special.stdtr(expected.freedom, (value - expected.mean) / total))
    scatter = float(np.sqrt(expected.variance))
    scaled = (value - expected.mean) / scatter
    spread = np.sqrt(
        (sd**2 + expected.variance_of_mean) / expected.variance + scaled**2 / (2 * expected.freedom)
    )
    low, high = 100 * special.ndtr(scaled + np.array([-1, 1]) * NORMAL_95 * spread)
    return Rank(percentile, min(float(low), percentile), max(float(high), percentile))


def sample_rank(
    value: float, sd: float, sample: np.ndarray, effective: float | None = None
) -> Rank:
    """Percentile of a value among a sample (n,), ties by half, with its 95 % interval.

    The share of a population below a value, from n of its members, has Jeffreys' interval (Beta,
    k + 1/2, n - k + 1/2; Brown, Cai, DasGupta 2001, Stat Sci 16:101); the value's own standard
    deviation mixes those of the values that it may be. `effective` is what the sample is worth in
    independent members (`effective_size`).

    >>> sample_rank(2.0, 0.0, np.array([1.0, 2.0, 3.0])).percentile
    50.0
    """
    if not sample.size:
        return Rank(np.nan, np.nan, np.nan)
    worth = float(sample.size) if effective is None else effective
    steps = (np.arange(200) + 0.5) / 200
    ordered = np.sort(sample)

    def below(points: np.ndarray) -> np.ndarray:
        sides = (np.searchsorted(ordered, points, side) for side in ("left", "right"))
        return np.asarray(sum(sides) / (2 * sample.size))

    likely = value + sd * special.ndtri(steps) if sd > 0 else np.array([value])
    counted, often = np.unique(below(likely) * worth, return_counts=True)
    shares = special.betaincinv(
        counted[:, None] + 0.5, worth - counted[:, None] + 0.5, steps[None, :]
    )
    weights = np.repeat(often, steps.size).astype(float)
    order = np.argsort(shares.ravel())
    cumulated = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    low, high = np.interp(LEVELS, cumulated, shares.ravel()[order])
    percentile = 100 * float(below(np.array([value]))[0])
    return Rank(percentile, min(100 * float(low), percentile), max(100 * float(high), percentile))


def effective_size(series: np.ndarray, correlation: float) -> float:
    """Independent members that a sample is worth, from their series and its correlation.

    n / (1 + (m - 1) rho), m the mean over members of the size of their series (Kish 1965).

    >>> effective_size(np.array([1, 1, 2, 2]), 1.0)
    2.0
    """
    if not len(series):
        return 0.0
    sizes = np.unique(series, return_counts=True)[1]
    each = float((sizes**2).sum() / sizes.sum())
    return len(series) / (1 + (each - 1) * correlation)
