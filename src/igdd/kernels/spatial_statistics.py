"""Where hot and cold voxels gather: local Moran's I, Getis and Ord's Gi*, the variogram's range.

Neighbours are the voxels of the region whose centres lie within a radius, all of weight one. Near
the rim there are fewer, and the formulas know how many.

    Gi* = (sum_j w_ij x_j - mean W_i) / (s sqrt((n W_i - W_i^2) / (n - 1)))     itself included
    I_i = (x_i - mean) sum_j w_ij (x_j - mean) / (W_i s^2)                      itself left out

Ord and Getis, Geogr Anal 1995;27:286; Anselin, Geogr Anal 1995;27:93. Neighbouring voxels of an
image resemble each other by its blur alone: neither is a test (`igdd.kernels.surrogates` is).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from igdd.errors import InputError

MOST_NEIGHBOURS = 20_000
# Cells of the padded box beyond which a variogram is refused: about a gigabyte.
MOST_CELLS = 3e7
LAGS = 30
LEAST_PAIRS = 30
FLAT = 16 * np.finfo(float).eps


def neighbours(spacing: np.ndarray, radius: float, *, itself: bool) -> np.ndarray:
    """Index steps (m, 3) to the voxels whose centres lie within a radius in mm.

    >>> neighbours(np.ones(3), 1.0, itself=False).shape
    (6, 3)
    """
    reach = np.floor(radius / spacing + 1e-9).astype(int)
    if float(np.prod(2.0 * reach + 1)) > MOST_NEIGHBOURS:
        raise InputError(
            f"a radius of {radius:g} mm holds more than {MOST_NEIGHBOURS} voxels of "
            f"{'x'.join(f'{step:g}' for step in spacing)} mm; expected fewer; choose a smaller one"
        )
    steps = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1)
    steps = steps.reshape(-1, 3)
    near = ((steps * spacing) ** 2).sum(axis=1) <= radius**2 * (1 + 1e-9)
    return np.asarray(steps[near & (itself | steps.any(axis=1))])


def _sums(field: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Sum over the neighbours of each voxel; nothing lies beyond the box."""
    reach = np.abs(steps).max(axis=0) if steps.size else np.zeros(3, int)
    padded = np.pad(field, [(n, n) for n in reach])
    total = np.zeros(field.shape)
    for step in steps:
        place = tuple(
            slice(n + s, n + s + size) for n, s, size in zip(reach, step, field.shape, strict=True)
        )
        total += padded[place]
    return total


def _away(values: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, float]:
    """Values about their mean (0 outside the region), and their standard deviation."""
    chosen = values[region]
    if chosen.size < 2:
        return np.zeros(region.shape), 0.0
    away = np.where(region, values - chosen.mean(), 0.0)
    sd = float(np.sqrt((away[region] ** 2).mean()))
    return away, sd if sd > FLAT * np.abs(chosen).max() else 0.0


def gi_star(
    values: np.ndarray, region: np.ndarray, spacing: np.ndarray, radius: float
) -> np.ndarray:
    """Gi* (i, j, k) of values in a region; NaN outside it, and all over where it is flat."""
    away, sd = _away(values, region)
    if not sd > 0:
        return np.full(region.shape, np.nan)
    steps = neighbours(spacing, radius, itself=True)
    count = int(region.sum())
    weight = _sums(region.astype(float), steps)
    spread = np.sqrt(np.maximum(count * weight - weight**2, 0.0) / (count - 1))
    above = _sums(away, steps) / sd
    known = region & (spread > 0)
    return np.asarray(np.divide(above, spread, out=np.full(region.shape, np.nan), where=known))


def local_moran(
    values: np.ndarray, region: np.ndarray, spacing: np.ndarray, radius: float
) -> np.ndarray:
    """Local Moran's I (i, j, k): above 0 among likes, below 0 among unlikes; NaN without any.

    The sum over the region, with every voxel's neighbours as weight, is the global one.
    """
    away, sd = _away(values, region)
    if not sd > 0:
        return np.full(region.shape, np.nan)
    steps = neighbours(spacing, radius, itself=False)
    weight = _sums(region.astype(float), steps)
    around = np.divide(
        _sums(away, steps), weight, out=np.full(region.shape, np.nan), where=region & (weight > 0)
    )
    return np.asarray(away * around / sd**2)


def variogram(
    values: np.ndarray, region: np.ndarray, spacing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances in mm, semivariances and numbers of pairs (lag,): half the mean squared difference.

    Over all pairs of voxels of the region up to half its longest side, none sampled; empty where
    the region is a single voxel or too large.
    """
    size = [fft.next_fast_len(2 * n - 1, real=True) for n in region.shape]
    none = (np.zeros(0), np.zeros(0), np.zeros(0))
    if region.sum() < 2 or np.prod([float(n) for n in size]) > MOST_CELLS:
        return none
    away, _ = _away(values, region)
    mask, linear, square = (fft.rfftn(one, size) for one in (region.astype(float), away, away**2))
    pairs = np.rint(fft.irfftn(np.abs(mask) ** 2, size))
    products = fft.irfftn(np.abs(linear) ** 2, size)
    squares = fft.irfftn((square * mask.conj()).real, size)
    steps = [
        np.minimum(np.arange(n), n - np.arange(n)) * s for n, s in zip(size, spacing, strict=True)
    ]
    lag = np.sqrt(steps[0][:, None, None] ** 2 + steps[1][:, None] ** 2 + steps[2] ** 2)
    longest = max((n - 1) * s for n, s in zip(region.shape, spacing, strict=True)) / 2
    width = max(float(spacing.min()) / 2, longest / LAGS)
    chosen = (lag > 0) & (lag <= max(longest, width)) & (pairs > 0.5)
    bins = np.rint(lag[chosen] / width).astype(int)
    number = np.bincount(bins, weights=pairs[chosen])
    held = number >= LEAST_PAIRS
    distance = np.bincount(bins, weights=(pairs * lag)[chosen])[held] / number[held]
    found = np.bincount(bins, weights=(squares - products)[chosen])[held] / number[held]
    return distance, found, number[held]


def variogram_range(distance: np.ndarray, found: np.ndarray, pairs: np.ndarray) -> float:
    """Practical range in mm: where likeness has gone but for 5 %, by a Gaussian variogram.

    gamma(h) = nugget + sill (1 - exp(-3 h^2 / range^2)), least squares weighted by pairs over the
    range. White noise blurred to a FWHM has a range of 1.47 FWHM. NaN where it does not rise.
    """
    if distance.size < 4 or not found.max() > 0:
        return float("nan")
    root = np.sqrt(pairs / pairs.max())
    best, least = float("nan"), np.inf
    low, high = float(distance[0]) / 2, 4 * float(distance[-1])
    for _ in range(4):
        for reach in np.geomspace(low, high, 40):
            shape = -np.expm1(-3 * (distance / reach) ** 2)
            misfit, rises = _fit(shape, found, root)
            if rises and misfit < least:
                best, least = float(reach), misfit
        if not np.isfinite(best):
            return best
        step = (high / low) ** (1 / 20)
        low, high = best / step, best * step
    return best


def _fit(shape: np.ndarray, found: np.ndarray, root: np.ndarray) -> tuple[float, bool]:
    """Squares that nugget and sill leave, and whether the sill is above zero; no nugget below 0."""
    design = np.stack([root, root * shape], axis=1)
    solved, *_ = np.linalg.lstsq(design, root * found, rcond=None)
    if solved[0] < 0:
        sill = float((root**2 * shape) @ found / ((root * shape) @ (root * shape)))
        solved = np.array([0.0, sill])
    return float(np.sum((root * found - design @ solved) ** 2)), bool(solved[1] > 0)
