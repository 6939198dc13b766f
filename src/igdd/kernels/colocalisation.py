"""Co-localisation: how far two maps of one region say the same, and where.

Every function takes the values (n,) of both maps in the same voxels, or a region (i, j, k) of them.
Nothing here changes when either map is given in another unit. A map that is flat within rounding,
or a region of one voxel, leaves correlations undefined: NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels.effective_size import FLAT, Lags, correlogram

# Bins of equal share of the volume that each map is cut into for the mutual information.
BINS = 8
# Least share of the region's voxels that must still meet at a lag.
LEAST_MEETING = 0.5
# Edges along each axis of a joint histogram beyond which it is refused.
MOST_EDGES = 1024


def _is_flat(values: np.ndarray) -> bool:
    away = np.abs(values - values.mean()).max(initial=0.0) if values.size else 0.0
    return not away > FLAT * np.abs(values).max(initial=0.0)


def pearson(one: np.ndarray, other: np.ndarray) -> float:
    """Product-moment correlation of two maps.

    >>> pearson(np.array([1.0, 2.0, 3.0]), np.array([5.0, 4.0, 3.0]))
    -1.0
    """
    if _is_flat(one) or _is_flat(other):
        return float("nan")
    # Each by its own scale, so that no square overflows.
    first, second = one - one.mean(), other - other.mean()
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    value = first @ second / np.sqrt((first @ first) * (second @ second))
    return float(np.clip(value, -1.0, 1.0))


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank (n,) of each value from 1 up; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], dtype=float)


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Rank correlation of two maps: 1 wherever one rises, the other does, along whatever curve.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0]))
    1.0
    """
    return pearson(ranks(one), ranks(other))


def joint_histogram(
    one: np.ndarray, other: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels (bin, bin) by value of both maps, and the edges (bin + 1,) along each.

    Bins are of equal width between a map's least and largest value; a flat map has one value, and
    all of it stands in one bin.
    """
    if not 1 <= bins < MOST_EDGES:
        raise InputError(f"{bins} bins of a joint histogram; expected 1 to {MOST_EDGES - 1}")
    edges = [np.linspace(values.min(), values.max(), bins + 1) for values in (one, other)]
    places = [
        np.clip(np.searchsorted(edge, values, side="right") - 1, 0, bins - 1)
        for edge, values in zip(edges, (one, other), strict=True)
    ]
    counts = np.bincount(places[0] * bins + places[1], minlength=bins * bins)
    return counts.reshape(bins, bins), edges[0], edges[1]


def quantile_bins(values: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bin (n,) from 0 of each value, in bins of equal share; equal values stay together."""
    found = np.floor((ranks(values) - 0.5) / values.size * bins).astype(np.int64)
    return np.unique(np.clip(found, 0, bins - 1), return_inverse=True)[1]


@dataclass(frozen=True, kw_only=True)
class Information:
    """Mutual information in bit.

    plain        of the binned maps, as counted
    independent  what two independent maps of the same grain would be expected to show
    size         independent samples that the estimate is worth
    p            of no information
    """

    plain: float
    independent: float
    size: float
    p: float


def mutual_information(one: np.ndarray, other: np.ndarray, lags: Lags) -> Information:
    """Mutual information of two maps of a region, in bins of equal share of the volume.

    Two independent maps show some too: the product of a pattern of one map's bins and one of the
    other's does not vanish over few samples. Over orthonormal patterns k and l (polynomials of the
    bin's number) with correlations R and S by lag, 2 n ln 2 times the information is a sum of
    chi-squares with weights sum over pairs of R_k S_l / n. The mean of that sum is what chance
    gives: (bins - 1)^2 / (2 n ln 2) for free voxels (Miller and Madow), more the coarser the grain.
    p by the scaled chi-square of the same mean and variance (Satterthwaite).
    """
    unknown = float("nan")
    if one.size < 2 or _is_flat(one) or _is_flat(other):
        return Information(plain=unknown, independent=unknown, size=unknown, p=unknown)
    first, second = quantile_bins(one), quantile_bins(other)
    width = int(second.max()) + 1
    joint = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width)
    shares = joint.reshape(-1, width) / one.size
    product = shares.sum(axis=1)[:, None] * shares.sum(axis=0)
    filled = shares > 0
    plain = max(float((shares[filled] * np.log2(shares[filled] / product[filled])).sum()), 0.0)
    if not lags.usable or min(shares.shape) < 2:
        return Information(plain=plain, independent=unknown, size=unknown, p=unknown)
    weights = np.maximum(
        (_patterns(first, lags) * lags.pairs_by_class) @ _patterns(second, lags).T / one.size, 0.0
    )
    # No finer than every voxel, no coarser than one sample.
    total = float(np.clip(weights.sum(), weights.size, weights.size * one.size))
    scale = max(float((weights**2).sum()) / total, 1.0)
    return Information(
        plain=plain,
        independent=total / (2 * one.size * np.log(2)),
        size=one.size * weights.size / total,
        p=float(special.chdtrc(total / scale, 2 * np.log(2) * one.size * plain / scale)),
    )


def _patterns(bins: np.ndarray, lags: Lags) -> np.ndarray:
    """Correlation (pattern, class) by class of distance of orthonormal polynomials of the bin."""
    shares = np.bincount(bins) / bins.size
    powers = np.vander(np.linspace(-1, 1, shares.size), increasing=True)
    basis, _ = np.linalg.qr(np.sqrt(shares)[:, None] * powers)
    patterns = (basis / np.sqrt(shares)[:, None])[:, 1:]
    return np.array([correlogram(pattern[bins], lags) for pattern in patterns.T])


def manders(amount: np.ndarray, hot: np.ndarray) -> float:
    """Share of a map's amount that lies where the other one is hot (Manders M1 or M2).

    Manders, Verbeek and Aten, J Microsc 1993;169:375. May leave 0..1 where values lie below zero;
    NaN where the amount is not above zero.

    >>> manders(np.array([1.0, 3.0]), np.array([False, True]))
    0.75
    """
    total = float(amount.sum())
    return float(amount[hot].sum()) / total if total > 0 else float("nan")


def costes_thresholds(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Thresholds of both maps below which they are not positively correlated.

    Costes et al., Biophys J 2004;86:3993: both thresholds move down the line along which the maps
    lie, until what is below either of them has a correlation of zero or less. Here every voxel is
    tried, not a fixed number of steps. The line is that of standardised maps (slope: ratio of the
    standard deviations), so that neither's unit matters. What is at or above a threshold is hot.

    NaN where the maps do not rise together. All of a map is hot where no part of it lacks
    correlation.
    """
    overall = pearson(one, other)
    if not overall > 0:
        return float("nan"), float("nan")
    places = [(values - values.mean()) / values.std() for values in (one, other)]
    # A voxel is below a threshold on the line where either of its places is.
    first_hot = np.minimum(places[0], places[1])
    order = np.argsort(first_hot, kind="stable")
    level = first_hot[order]
    last = np.flatnonzero(np.append(np.diff(level) > 0, True))
    found = _growing_correlation(places[0][order], places[1][order])[last]
    lacking = np.flatnonzero(found <= 0)
    if not lacking.size:
        return float(one.min()), float(other.min())
    above = last[lacking[-1]] + 1
    cut = level[above]
    return float(one.mean() + cut * one.std()), float(other.mean() + cut * other.std())


def _growing_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of the first 1, 2, ... n standardised values (n,); NaN where one is flat."""
    number = np.arange(1, one.size + 1)
    sums = [np.cumsum(part) for part in (one, other, one * one, other * other, one * other)]
    spread = [number * sums[2] - sums[0] ** 2, number * sums[3] - sums[1] ** 2]
    cross = number * sums[4] - sums[0] * sums[1]
    least = 1e-12 * number * number
    known = (spread[0] > least) & (spread[1] > least)
    product = np.sqrt(np.where(known, spread[0] * spread[1], 1.0))
    return np.asarray(np.where(known, cross / product, np.nan))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Twice the shared volume of two hot sets over the sum of theirs; NaN where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else float("nan")


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Shared volume of two hot sets over the volume of either; NaN where both are empty."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shifted:
    """Correlation of one map with another that is shifted, by lag.

    lag          (3,) voxels of the shift at which they agree best: other(x + lag) is as one(x)
    correlation  at that lag; `meeting` the region of voxels x that still meet there
    by_distance  (class,) mean correlation over the lags of each class of distance; NaN where none
    """

    lag: np.ndarray
    correlation: float
    meeting: np.ndarray
    by_distance: np.ndarray


def lag_correlation(one: np.ndarray, other: np.ndarray, lags: Lags, reach: float) -> Shifted | None:
    """Correlation over the voxels x of a region with x + lag in it too, for every whole lag.

    one, other  (i, j, k); only their values in the region count
    reach       mm; lags are tried up to it while half of the region's voxels still meet

    Each lag has means and deviations of its own (Padfield, IEEE Trans Image Process 2012;21:2706),
    so that a region's border makes no correlation. None where nothing is left to correlate.
    """
    chosen = [one[lags.region], other[lags.region]]
    if not lags.usable or any(_is_flat(values) for values in chosen):
        return None
    scaled = [lags.field((values - values.mean()) / values.std()) for values in chosen]
    found = _at_every_lag(scaled[0], scaled[1], lags)
    within = (lags.distance <= reach + 1e-9) & (lags.pairs >= LEAST_MEETING * lags.count)
    found = np.where(within, found, np.nan)
    known = np.isfinite(found)
    if not known.any():
        return None
    # Of equal correlations that of the shortest lag.
    value = found[known].max()
    near = known & (found >= value - 1e-12)
    best = np.unravel_index(int(np.argmin(np.where(near, lags.distance, np.inf))), found.shape)
    lag = np.array([
        n if n <= size // 2 else n - size for n, size in zip(best, found.shape, strict=True)
    ])  # fmt: skip
    classes = lags.classes[known]
    count = np.bincount(classes)
    total = np.bincount(classes, found[known])
    return Shifted(
        lag=lag,
        correlation=float(np.clip(found[best], -1.0, 1.0)),
        meeting=_meeting(lags.region, lag),
        by_distance=np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0),
    )


def _at_every_lag(one: np.ndarray, other: np.ndarray, lags: Lags) -> np.ndarray:
    """Pearson correlation of one(x) and other(x + lag) over the pairs in the region."""
    region = lags.region.astype(float)
    number = np.maximum(lags.pairs, 1.0)
    means = [lags.products(one, region) / number, lags.products(region, other) / number]
    spread = [
        lags.products(one * one, region) / number - means[0] ** 2,
        lags.products(region, other * other) / number - means[1] ** 2,
    ]
    cross = lags.products(one, other) / number - means[0] * means[1]
    # Rounding of the transforms; the maps are standardised.
    known = (spread[0] > 1e-9) & (spread[1] > 1e-9) & (lags.pairs > 2)
    below = np.sqrt(np.where(known, spread[0] * spread[1], 1.0))
    return np.asarray(np.where(known, cross / below, np.nan))


def _meeting(region: np.ndarray, lag: np.ndarray) -> np.ndarray:
    """Voxels x of a region with x + lag in it too."""
    both = np.zeros(region.shape, bool)
    here = tuple(
        slice(max(0, -n), min(s, s - n)) for n, s in zip(lag.tolist(), region.shape, strict=True)
    )
    there = tuple(
        slice(max(0, n), min(s, s + n)) for n, s in zip(lag.tolist(), region.shape, strict=True)
    )
    both[here] = region[here] & region[there]
    return both
