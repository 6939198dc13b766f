"""Moving window: texture and spread of the part of a region around each of its voxels.

The window is a ball; what of it lies in the region is itself a region, and its features are those
that the IBSI reference manual (arXiv:1612.07003) defines for a region, 3.3, 3.4 and 3.6. Grey
levels are those of the whole region, so that windows can be compared.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit
from igdd.kernels.cooccurrence import cooccurrence_features
from igdd.kernels.texture_matrices import cooccurrences, directions

# In the order of `intensity_features.statistics`, then of the histogram, then the Gini index.
SPREAD = (
    "mean", "var", "skew", "kurt", "median", "min", "p10", "p90", "max", "iqr", "range", "mad",
    "rmad", "medad", "cov", "qcod", "entropy", "uniformity", "gini", "count",
)  # fmt: skip
# Steps of the arithmetic beyond which a window is refused: minutes.
MOST_STEPS = 2e12
# One of each pair of opposite neighbours; a constant of the compiled functions.
DIRECTIONS = directions(3)


def ball(diameter: float, spacing: np.ndarray) -> np.ndarray:
    """Mask (i, j, k) of voxels with centres within half a diameter of the middle one; in mm.

    >>> int(ball(3.0, np.array([1.0, 1.0, 1.0])).sum())
    19
    """
    if not (np.isfinite(diameter) and diameter >= 2 * spacing.min()):
        raise InputError(
            f"a window of {diameter:g} mm holds no neighbour of a voxel of "
            f"{' x '.join(f'{side:g}' for side in spacing)} mm; "
            f"expected at least {2 * spacing.min():g} mm"
        )
    # A distance that exceeds the radius by rounding alone has not left the ball.
    radius = diameter / 2 * (1 + 1e-9)
    if np.prod(2 * np.floor(radius / spacing) + 1) > 1e7:
        raise InputError(
            f"a window of {diameter:g} mm holds more than 1e7 voxels; expected a smaller one"
        )
    reach = [int(np.floor(radius / side)) for side in spacing]
    axes = [
        (np.arange(-n, n + 1) * side) ** 2 for n, side in zip(reach, spacing.tolist(), strict=True)
    ]
    return np.asarray(axes[0][:, None, None] + axes[1][:, None] + axes[2] <= radius**2)


def texture_map(
    levels: np.ndarray, window: np.ndarray, number: int, *, merged: bool = True
) -> np.ndarray:
    """Co-occurrence features (voxel, 25) of the window around each voxel, as `cooccurrence.NAMES`.

    levels  (i, j, k) grey level, 0 outside the region; the voxels are those with one, in C order
    window  (a, b, c) mask of odd sides around its middle
    number  of grey levels of the discretisation
    merged  one matrix of all 13 directions (3D_comb), or the mean over their features (3D_avg)

    NaN where a window leaves a feature undefined: a single voxel, or one grey level.
    """
    padded, centres = _prepared(levels, window)
    distinct = min(int(np.unique(levels).size), int(window.sum()))
    cost = float(centres.shape[0]) * (13.0 * window.size + (1 if merged else 13) * distinct**2)
    if cost > MOST_STEPS:
        raise InputError(
            f"a window of {int(window.sum())} voxels with {number} grey levels around "
            f"{centres.shape[0]} voxels would take {cost:.1e} steps; expected at most "
            f"{MOST_STEPS:.0e}; choose a smaller window, or wider bins"
        )
    return np.asarray(_texture(padded, centres, window, number, merged))


def spread_map(values: np.ndarray, levels: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Statistics, histogram and Gini features (voxel, 20) of the window, in order of `SPREAD`.

    values  (i, j, k) intensities, finite wherever there is a grey level
    """
    padded, centres = _prepared(levels, window)
    reach = np.array(window.shape) // 2
    around = np.pad(
        np.where(levels > 0, values, 0.0), [(n, n) for n in reach.tolist()], mode="constant"
    )
    return np.asarray(_spread(around, padded, centres, window))


def _prepared(levels: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels with a border of the window's reach, and the lowest corner (n, 3) of each window."""
    if any(side % 2 == 0 for side in window.shape):
        raise InputError(f"a window has sides {window.shape}; expected odd numbers of voxels")
    padding = [(side // 2, side // 2) for side in window.shape]
    padded = np.pad(levels.astype(np.int64), padding, mode="constant")
    return padded, np.argwhere(levels > 0)


@njit(cache=True, nogil=True)
def _texture(
    levels: np.ndarray,
    corners: np.ndarray,
    window: np.ndarray,
    number: int,
    merged: bool,
) -> np.ndarray:
    found = np.full((corners.shape[0], 25), np.nan)
    for n in range(corners.shape[0]):
        found[n] = _texture_of(levels, corners[n], window, number, merged)
    return found


@njit(cache=True, nogil=True)
def _texture_of(
    levels: np.ndarray,
    corner: np.ndarray,
    window: np.ndarray,
    number: int,
    merged: bool,
) -> np.ndarray:
    """Features (25,) of one window."""
    sides = window.shape
    place = np.zeros(number + 1, np.int64)
    inside = np.zeros(sides, np.int64)
    for a in range(sides[0]):
        for b in range(sides[1]):
            for c in range(sides[2]):
                if window[a, b, c]:
                    level = levels[corner[0] + a, corner[1] + b, corner[2] + c]
                    inside[a, b, c] = level
                    if level > 0:
                        place[level] = 1
    greys = np.flatnonzero(place)
    place[greys] = np.arange(1, greys.size + 1)
    for a in range(sides[0]):
        for b in range(sides[1]):
            for c in range(sides[2]):
                inside[a, b, c] = place[inside[a, b, c]]
    counts = np.zeros((greys.size, greys.size), np.int64)
    if merged:
        for s in range(DIRECTIONS.shape[0]):
            cooccurrences(inside, DIRECTIONS[s], 0, sides[2], counts)
        merged_features: np.ndarray = cooccurrence_features(counts, greys, number)
        return merged_features
    total = np.zeros(25)
    known = np.zeros(25)
    for s in range(DIRECTIONS.shape[0]):
        counts[:] = 0
        cooccurrences(inside, DIRECTIONS[s], 0, sides[2], counts)
        one = cooccurrence_features(counts, greys, number)
        for f in range(25):
            if np.isfinite(one[f]):
                total[f] += one[f]
                known[f] += 1
    for f in range(25):
        total[f] = total[f] / known[f] if known[f] > 0 else np.nan
    return total


@njit(cache=True, nogil=True)
def _spread(
    values: np.ndarray, levels: np.ndarray, corners: np.ndarray, window: np.ndarray
) -> np.ndarray:
    found = np.full((corners.shape[0], 20), np.nan)
    highest = levels.max()
    for n in range(corners.shape[0]):
        chosen = np.empty(window.size, np.float64)
        counts = np.zeros(highest + 1, np.int64)
        number = 0
        for a in range(window.shape[0]):
            for b in range(window.shape[1]):
                for c in range(window.shape[2]):
                    i, j, k = corners[n, 0] + a, corners[n, 1] + b, corners[n, 2] + c
                    if window[a, b, c] and levels[i, j, k] > 0:
                        chosen[number] = values[i, j, k]
                        counts[levels[i, j, k]] += 1
                        number += 1
        found[n] = _spread_of(np.sort(chosen[:number]), counts)
    return found


@njit(cache=True, nogil=True)
def _percentile(ranked: np.ndarray, share: float) -> float:
    """Percentile of sorted values, between two of them by straight line."""
    place = share * (ranked.size - 1)
    below = int(np.floor(place))
    above = min(below + 1, ranked.size - 1)
    value: float = ranked[below] + (place - below) * (ranked[above] - ranked[below])
    return value


@njit(cache=True, nogil=True)
def _quotient(above: float, below: float) -> float:
    return above / below if below != 0 else np.nan


@njit(cache=True, nogil=True)
def _spread_of(ranked: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Features (20,) of sorted values (n,) and of the counts of their grey levels."""
    found = np.empty(20)
    number = ranked.size
    mean = ranked.mean()
    away = ranked - mean
    variance = np.mean(away**2)
    third, fourth = np.mean(away**3), np.mean(away**4)
    p10, p25 = _percentile(ranked, 0.10), _percentile(ranked, 0.25)
    median = _percentile(ranked, 0.5)
    p75, p90 = _percentile(ranked, 0.75), _percentile(ranked, 0.90)
    # What is within rounding of one value is flat.
    spread = ranked[-1] > ranked[0]
    found[0], found[1] = mean, variance if spread else 0.0
    found[2] = third / variance**1.5 if spread else 0.0
    found[3] = fourth / variance**2 - 3 if spread else 0.0
    found[4], found[5], found[6], found[7], found[8] = median, ranked[0], p10, p90, ranked[-1]
    found[9], found[10] = p75 - p25, ranked[-1] - ranked[0]
    found[11] = np.mean(np.abs(away))
    middle = ranked[(ranked >= p10) & (ranked <= p90)]
    found[12] = np.mean(np.abs(middle - middle.mean())) if middle.size else np.nan
    found[13] = np.mean(np.abs(ranked - median))
    found[14] = _quotient(np.sqrt(found[1]), mean)
    found[15] = _quotient(p75 - p25, p75 + p25)
    entropy = uniformity = 0.0
    for count in counts:
        if count > 0:
            share = count / number
            entropy -= share * np.log2(share)
            uniformity += share * share
    found[16], found[17] = entropy, uniformity
    total = ranked.sum()
    lifted = 0.0
    for n in range(number):
        lifted += (2 * n + 1 - number) * ranked[n]
    found[18] = lifted / (number * total) if total > 0 else np.nan
    found[19] = number
    return found
