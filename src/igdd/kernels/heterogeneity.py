"""Heterogeneity: how unevenly a concentration is spread over a region's volume.

Every function takes values (n,) in one unit and the weights (n,) of their voxels, or the values and
shares of a histogram. NaN where a quotient has nothing below it. Values below zero are kept.

A multiplied unit changes no dimensionless measure. Entropy alone has bins in physical units, so
that lesions can be compared: bins that follow each lesion's own range would not be the same bins.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError

# Share of a normal distribution's sd that its median absolute deviation is, inverted.
NORMAL_MAD = 1.482602218505602
# Bins between the smallest and the largest value beyond which an entropy is refused.
MOST_BINS = 1e9
HOT_TAIL = 0.9
# Voxels that share a face, an edge or a corner are one part.
TOUCHING = np.ones((3, 3, 3), dtype=bool)

FLAT = 16 * np.finfo(float).eps


def quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Value below which each share (q,) of the volume lies; the mean of both sides at a step.

    >>> quantiles(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4), np.array([0.25, 0.5])).tolist()
    [1.5, 2.5]
    """
    order = np.argsort(values, kind="stable")
    ranked, heights = values[order], np.cumsum(weights[order])
    if not heights.size or not heights[-1] > 0:
        return np.full(np.shape(shares), np.nan)
    wanted = np.asarray(shares) * heights[-1]
    slack = 1e-12 * heights[-1]
    last = heights.size - 1
    lower = np.minimum(np.searchsorted(heights, wanted - slack, side="left"), last)
    upper = np.minimum(np.searchsorted(heights, wanted + slack, side="right"), last)
    return np.asarray((ranked[lower] + ranked[upper]) / 2)


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean over the volume."""
    total = float(weights.sum())
    return float(weights @ values / total) if total > 0 else float("nan")


def variance(values: np.ndarray, weights: np.ndarray) -> float:
    """Variance over the volume (of the population: divided by the volume)."""
    middle = mean(values, weights)
    return mean((values - middle) ** 2, weights)


def _quotient(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")


def coefficient_of_variation(values: np.ndarray, weights: np.ndarray) -> float:
    """Standard deviation over mean (1); NaN where the mean is not above zero.

    >>> coefficient_of_variation(np.array([1.0, 3.0]), np.ones(2))
    0.5
    """
    return _quotient(float(np.sqrt(variance(values, weights))), mean(values, weights))


def robust_coefficient_of_variation(values: np.ndarray, weights: np.ndarray) -> float:
    """1.4826 times the median absolute deviation over the median (1): a normal spread's CV."""
    middle = float(quantiles(values, weights, np.array([0.5]))[0])
    away = float(quantiles(np.abs(values - middle), weights, np.array([0.5]))[0])
    return _quotient(NORMAL_MAD * away, middle)


def quartile_dispersion(values: np.ndarray, weights: np.ndarray) -> float:
    """Quartile coefficient of dispersion (P75 - P25) / (P75 + P25) (1)."""
    low, high = quantiles(values, weights, np.array([0.25, 0.75]))
    return _quotient(float(high - low), float(high + low))


def lorenz(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lorenz curve: share of the volume, from the poorest up, and the share of the amount in it.

    Both (n + 1,), from 0 to 1. With values below zero the curve dips below zero, as it is.
    """
    order = np.argsort(values, kind="stable")
    volume = np.concatenate([[0.0], np.cumsum(weights[order])])
    amount = np.concatenate([[0.0], np.cumsum((values * weights)[order])])
    if not amount[-1] > 0:
        return volume / volume[-1], np.full(amount.size, np.nan)
    return volume / volume[-1], amount / amount[-1]


def gini(values: np.ndarray, weights: np.ndarray) -> float:
    """Gini index (1): half the mean difference of two voxels over their mean; 0 where all is even.

    One minus twice the area below the Lorenz curve; may exceed 1 where values lie below zero.

    >>> gini(np.array([0.0, 0.0, 0.0, 1.0]), np.ones(4))
    0.75
    """
    volume, amount = lorenz(values, weights)
    return float(1 - np.sum(np.diff(volume) * (amount[1:] + amount[:-1])))


def entropy(values: np.ndarray, weights: np.ndarray, width: float) -> float:
    """Shannon entropy in bit of the histogram with bins of `width` from zero, in the values' unit.

    Bins that hold nothing take no memory, however many there are.

    >>> entropy(np.array([0.1, 0.2, 1.1, 1.2]), np.ones(4), 1.0)
    1.0
    """
    if not (np.isfinite(width) and width > 0):
        raise InputError(f"bins of the entropy have width {width}; expected > 0")
    if not values.size or not weights.sum() > 0:
        return float("nan")
    span = (float(values.max()) - float(values.min())) / width
    if not span <= MOST_BINS:
        raise InputError(
            f"bins of {width:g} make {span:.3g} bins between {values.min():g} and "
            f"{values.max():g}; expected at most {MOST_BINS:g}; choose wider bins"
        )
    _, bins = np.unique(np.floor(values / width), return_inverse=True)
    heights = np.bincount(bins, weights=weights)
    shares = heights[heights > 0] / heights.sum()
    return float(abs(np.sum(shares * np.log2(shares))))


def hot_tail_mean(values: np.ndarray, weights: np.ndarray, share: float = HOT_TAIL) -> float:
    """Mean of the hottest part of the volume, above the 90th percentile, in the values' unit.

    Exactly a tenth of the volume counts: the voxel at the percentile in part, ties in equal parts.
    """
    order = np.argsort(-values, kind="stable")
    total = float(weights.sum())
    if not total > 0:
        return float("nan")
    before = np.concatenate([[0.0], np.cumsum(weights[order])])
    # As 1 - 0.9 is not quite a tenth, what rounding leaves open is settled here.
    within = np.diff(np.minimum(before, round((1 - share) * total, 12)))
    return mean(values[order], within)


def equivalent_uniform(values: np.ndarray, weights: np.ndarray, steepness: float) -> float:
    """Even concentration with the effect of the uneven one: -ln(mean exp(-a C)) / a.

    `steepness` a is in 1 / unit of the values. Cold parts decide where a C is large; for a -> 0 it
    is the mean (Niemierko, Med Phys 1997;24:103, of dose).

    >>> equivalent_uniform(np.array([2.0, 2.0]), np.ones(2), 3.0)
    2.0
    """
    if not (np.isfinite(steepness) and steepness > 0):
        raise InputError(f"steepness of the effect is {steepness}; expected > 0")
    if not values.size:
        return float("nan")
    # Taken from the smallest value, so that no exponential overflows.
    least = float(values.min())
    lacking = mean(-np.expm1(-steepness * (values - least)), weights)
    return float(least - np.log1p(-lacking) / steepness) if lacking < 1 else float("nan")


def coverage(values: np.ndarray, weights: np.ndarray, threshold: float) -> float:
    """Share of the volume at or above a concentration (1).

    >>> coverage(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4), 2.0)
    0.75
    """
    return mean((values >= threshold).astype(float), weights)


def coverage_curve(values: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of the volume at or above each threshold (t,)."""
    order = np.argsort(values, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    if not below[-1] > 0:
        return np.full(np.shape(thresholds), np.nan)
    return np.asarray(
        1 - below[np.searchsorted(values[order], thresholds, side="left")] / below[-1]
    )


def parts(inside: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected parts of a set of voxels (i, j, k): labels from 1 up, and their number."""
    from scipy import ndimage  # here, since metrics import this module

    labels, count = ndimage.label(inside, structure=TOUCHING)
    return np.asarray(labels), int(count)


def largest_part(inside: np.ndarray, weights: np.ndarray) -> float:
    """Volume, in voxels, of the largest connected part of a set (i, j, k); 0 where it is empty."""
    labels, count = parts(inside)
    if not count:
        return 0.0
    return float(np.bincount(labels.ravel(), weights=weights.ravel())[1:].max())


def euler_number(inside: np.ndarray) -> int:
    """Euler number of a set of voxels (i, j, k): parts minus tunnels plus cavities.

    Of the closed cubes: corners minus edges plus faces minus cubes, so that voxels that touch at a
    corner are one part.

    >>> euler_number(np.ones((2, 2, 2), dtype=bool))
    1
    """
    padded = np.pad(np.asarray(inside, dtype=bool), 1)
    total = 0
    for chosen in np.ndindex(2, 2, 2):
        cells = padded
        for axis, is_open in enumerate(chosen):
            if not is_open:  # a face across this axis belongs to the cubes on both sides
                ahead = np.roll(cells, -1, axis=axis)
                cells = cells | ahead
        total += (-1) ** sum(chosen) * int(cells.sum())
    return total
