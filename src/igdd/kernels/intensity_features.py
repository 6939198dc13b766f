"""Intensity features: statistics, histogram and cumulative volume histogram of a region's values.

IBSI reference manual (arXiv:1612.07003), sections 3.3 to 3.5. Spread is that of the population
(divided by n). A feature that the values leave undefined (a quotient by zero) is NaN.
"""

from __future__ import annotations

import numpy as np

# A fraction that falls short of a bin's edge by rounding alone has reached it.
ROUNDING = 1e-9


def statistics(values: np.ndarray) -> dict[str, float]:
    """The 16 measures that statistics and histogram share, of values or of grey levels (n,).

    Skewness and excess kurtosis of a flat region are 0, as the manual defines. The robust mean
    deviation is NaN where no value lies between the percentiles (two voxels).

    >>> round(statistics(np.array([1.0, 2.0, 3.0, 4.0]))["qcod"], 4)
    0.3
    """
    mean = values.mean()
    away = values - mean
    squared = away * away
    variance = squared.mean()
    third, fourth = (squared * away).mean(), (squared * squared).mean()
    p10, p25, median, p75, p90 = np.percentile(values, (10, 25, 50, 75, 90))
    middle = values[(values >= p10) & (values <= p90)]
    spread = variance > 0
    low, high = values.min(), values.max()
    return {
        "mean": mean,
        "var": variance,
        "skew": third / variance**1.5 if spread else 0.0,
        "kurt": fourth / variance**2 - 3 if spread else 0.0,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": np.abs(away).mean(),
        "rmad": np.abs(middle - middle.mean()).mean() if middle.size else np.nan,
        "medad": np.abs(values - median).mean(),
        "cov": _quotient(np.sqrt(variance), mean),
        "qcod": _quotient(p75 - p25, p75 + p25),
    }


def energy(values: np.ndarray) -> dict[str, float]:
    """Sum of squares and root mean square of values (n,)."""
    total = float(values @ values)
    return {"energy": total, "rms": float(np.sqrt(total / values.size))}


def histogram(levels: np.ndarray) -> dict[str, float]:
    """Mode, entropy (bits), uniformity and gradients of a histogram of grey levels from 1 up.

    Of several modes the one nearest the mean is taken, then the lower. The gradient is by central
    differences, one-sided at both ends; in a histogram of one bin there is none.
    """
    counts = np.bincount(levels)[1:].astype(float)
    shares = counts[counts > 0] / levels.size
    mean = levels.mean()
    modes = np.flatnonzero(counts == counts.max()) + 1
    found = {
        "mode": float(modes[np.argmin(np.abs(modes - mean))]),
        "entropy": float(-(shares * np.log2(shares)).sum()) + 0.0,
        "uniformity": float((shares * shares).sum()),
    }
    if counts.size < 2:
        return found | dict.fromkeys(("max_grad", "max_grad_g", "min_grad", "min_grad_g"), np.nan)
    gradient = np.gradient(counts)
    return found | {
        "max_grad": float(gradient.max()),
        "max_grad_g": float(gradient.argmax() + 1),
        "min_grad": float(gradient.min()),
        "min_grad_g": float(gradient.argmin() + 1),
    }


def volume_histogram(
    bins: np.ndarray, last: int, *, first_value: float, step: float
) -> dict[str, float]:
    """Volume at 10 and 90 % of the intensity range, intensity at 10 and 90 % of the volume.

    bins         (n,) number of each voxel's bin, from 0 to `last`
    first_value  intensity that bin 0 stands for; `step` from one bin to the next

    The histogram is never laid out: a billion empty bins cost nothing. Where even the last bin
    holds more than the volume asked for, the intensity is that of the bin above it, which holds
    none. A range of one bin has no intensity fraction, and the volumes are NaN.
    """
    ordered = np.sort(bins)
    volumes = []
    intensities = []
    for share in (0.1, 0.9):
        reached = np.ceil(share * last - ROUNDING)
        volume = 1 - np.searchsorted(ordered, reached, side="left") / ordered.size
        volumes.append(float(volume) if last > 0 else np.nan)
        above = int(np.floor(share * ordered.size + ROUNDING))
        level = 0 if above >= ordered.size else int(ordered[ordered.size - 1 - above]) + 1
        intensities.append(first_value + step * level)
    return {
        "v10": volumes[0],
        "v90": volumes[1],
        "i10": intensities[0],
        "i90": intensities[1],
        "diff_v10_v90": volumes[0] - volumes[1],
        "diff_i10_i90": intensities[0] - intensities[1],
    }


def _quotient(above: float, below: float) -> float:
    return float(above / below) if below != 0 else float("nan")
