"""Release profiles without a model: times, efficiency, and how alike two profiles are (f1, f2).

    f1 = 100 sum |R - T| / sum R
    f2 = 50 log10(100 / sqrt(1 + D)) = 100 - 25 log10(1 + D),  D = mean (R - T)^2

of the means R and T in % at the times that count (Moore and Flanner, Pharm Technol 1996;20:64). Two
profiles 10 % apart everywhere have f2 = 49.89. A mean of n vessels scatters about the truth, which
makes D too large by V = mean over the times of s_R^2 / n_R + s_T^2 / n_T: `bias_corrected` takes
that off, down to no difference at all; `expected` adds it once more (Shah and colleagues, Pharm Res
1998;15:889).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

LATE = 85.0  # % above which one more point counts, and no further
LEAST = 3  # points
DRAWS = 5000
LEVEL = 0.90  # the interval of an equivalence test at 5 % on each side
RULES = ("either", "both", "all")


class Similarity(NamedTuple):
    """Difference factor and similarity factor, in %, with the estimates that heed the scatter."""

    f1: float
    f2: float
    expected: float
    bias_corrected: float


class Limits(NamedTuple):
    """An estimate and its limits."""

    estimate: float
    low: float
    high: float


def time_to(time: np.ndarray, released: np.ndarray, level: float) -> float:
    """When a level is first reached, by straight lines from 0 % at time 0; NaN where it is not.

    >>> time_to(np.array([1.0, 3.0]), np.array([20.0, 60.0]), 50.0)
    2.5
    """
    time, released = _from_zero(time, released)
    past = np.flatnonzero(released >= level)
    if not past.size:
        return float("nan")
    here = int(past[0])
    if here == 0:
        return float(time[0])
    share = (level - released[here - 1]) / (released[here] - released[here - 1])
    return float(time[here - 1] + share * (time[here] - time[here - 1]))


def mean_dissolution_time(time: np.ndarray, released: np.ndarray) -> float:
    """sum(t dF) / sum(dF) over the intervals, t their middles, from 0 % at time 0.

    That of what was released by the last sample; NaN where that is nothing.

    >>> mean_dissolution_time(np.array([1.0, 3.0]), np.array([50.0, 100.0]))
    1.25
    """
    time, released = _from_zero(time, released)
    whole = released[-1] - released[0]
    if not whole > 0:
        return float("nan")
    middles = (time[1:] + time[:-1]) / 2
    return float(np.sum(middles * np.diff(released)) / whole)


def dissolution_efficiency(time: np.ndarray, released: np.ndarray) -> float:
    """Area under the profile to its last sample, in % of that of complete release at once.

    Khan, J Pharm Pharmacol 1975;27:48. Trapezoids from 0 % at time 0.

    >>> dissolution_efficiency(np.array([1.0, 2.0]), np.array([100.0, 100.0]))
    75.0
    """
    time, released = _from_zero(time, released)
    if not time[-1] > time[0]:
        return float("nan")
    return float(np.trapezoid(released, time) / (time[-1] - time[0]))


def _from_zero(time: np.ndarray, released: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The profile with a point (0, 0 %) before it, unless it has one at time 0 itself."""
    if time[0] <= 0:
        return time, released
    return np.append(0.0, time), np.append(0.0, released)


def counted(
    time: np.ndarray, reference: np.ndarray, test: np.ndarray, rule: str = "either"
) -> np.ndarray:
    """Which times (t,), ascending, count in f1 and f2.

    Never time 0. "either": up to the first at which one of the means has reached 85 % (ICH M9
    2019); "both": up to the first at which both have (FDA 1997); "all": to the end.

    >>> counted(np.arange(5.0), np.array([0, 50, 86, 90, 95.0]), np.array([0, 40, 70, 86, 90.0]))
    array([False,  True,  True, False, False])
    """
    after = time > 0
    if rule == "all":
        return after
    late = (reference >= LATE) | (test >= LATE)
    if rule == "both":
        late = (reference >= LATE) & (test >= LATE)
    before = np.append(0, np.cumsum(late & after)[:-1])
    return np.asarray(after & (before == 0))


def similarity(reference: np.ndarray, test: np.ndarray) -> Similarity:
    """f1 and f2 of profiles (vessels, points that count); one vessel each stands for a mean.

    NaN with fewer than three points, and for estimates that ask for scatter with fewer than two
    vessels of either.

    >>> similarity(np.array([[20.0, 40, 60]]), np.array([[30.0, 50, 70]])).f2.__round__(2)
    49.89
    """
    if reference.shape[1] < LEAST:
        return Similarity(*[float("nan")] * 4)
    first, second = reference.mean(axis=0), test.mean(axis=0)
    below = float(first.sum())
    f1 = 100 * float(np.abs(first - second).sum()) / below if below > 0 else float("nan")
    found = _estimates(reference[None], test[None])[:, 0]
    return Similarity(f1, *(float(one) for one in found))


def _estimates(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """f2, expected f2, bias-corrected f2 (3, d) of draws (d, vessels, points)."""
    gap = np.mean((reference.mean(axis=1) - test.mean(axis=1)) ** 2, axis=1)
    scatter = np.full(gap.shape, np.nan)
    if min(reference.shape[1], test.shape[1]) > 1:
        scatter = sum(
            one.var(axis=1, ddof=1).mean(axis=1) / one.shape[1] for one in (reference, test)
        )
    # no difference between populations is below 0: one that scatter exceeds counts as none
    rest = np.where(gap > scatter, gap - scatter, 0.0)
    rest = np.where(np.isfinite(scatter), rest, np.nan)
    return np.asarray(100 - 25 * np.log10(1 + np.stack([gap, gap + scatter, rest])))


def bootstrap(
    reference: np.ndarray, test: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Limits]:
    """90 % limits of f2, expected f2 and bias-corrected f2 over vessels (vessels, points).

    Vessels are drawn anew within each product. Limits are bias-corrected and accelerated (Efron, J
    Am Stat Assoc 1987;82:171), the acceleration from leaving out each vessel in turn. The points
    that count stay those of the samples. Needs three vessels of each product, else NaN.
    """
    names = ("f2", "expected", "bias_corrected")
    estimate = _estimates(reference[None], test[None])[:, 0]
    unknown = Limits(float("nan"), float("nan"), float("nan"))
    if min(len(reference), len(test)) < 3 or reference.shape[1] < LEAST:
        return {name: unknown._replace(estimate=float(one)) for name, one in
                zip(names, estimate, strict=True)}  # fmt: skip
    rng = np.random.default_rng(seed)
    drawn = _estimates(
        *(one[rng.integers(len(one), size=(draws, len(one)))] for one in (reference, test))
    )
    first = np.broadcast_to(reference, (len(test), *reference.shape))
    second = np.broadcast_to(test, (len(reference), *test.shape))
    left_out = np.hstack(
        [_estimates(_without_each(reference), second), _estimates(first, _without_each(test))]
    )
    return {
        name: _accelerated(float(one), row, jackknife)
        for name, one, row, jackknife in zip(names, estimate, drawn, left_out, strict=True)
    }


def _without_each(values: np.ndarray) -> np.ndarray:
    """Vessels (v, v - 1, points), each left out in turn."""
    kept = ~np.eye(len(values), dtype=bool)
    return np.stack([values[row] for row in kept])


def _accelerated(estimate: float, drawn: np.ndarray, jackknife: np.ndarray) -> Limits:
    """BCa limits; those of no spread are the estimate itself."""
    if not (np.isfinite(estimate) and np.isfinite(drawn).all() and np.isfinite(jackknife).all()):
        return Limits(estimate, float("nan"), float("nan"))
    if np.ptp(drawn) <= 1e-9 * max(1.0, abs(estimate)):
        return Limits(estimate, estimate, estimate)
    below = (np.sum(drawn < estimate) + 0.5 * np.sum(drawn == estimate)) / drawn.size
    below = np.clip(below, 0.5 / drawn.size, 1 - 0.5 / drawn.size)
    bias = special.ndtri(below)
    away = jackknife.mean() - jackknife
    squares = float(np.sum(away**2))
    acceleration = float(np.sum(away**3)) / (6 * squares**1.5) if squares > 0 else 0.0
    shifted = bias + special.ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shares = special.ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(drawn, shares)
    return Limits(estimate, float(low), float(high))
