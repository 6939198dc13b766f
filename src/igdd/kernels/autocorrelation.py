"""Spatial autocorrelation of a region: Moran's I and Geary's C over all pairs of its voxels.

IBSI reference manual (arXiv:1612.07003), 3.1.27 and 3.1.28, with weights 1 / distance:

    I = n / W  sum_ab w_ab z_a z_b / sum_a z_a^2          z = x - mean, W = sum_ab w_ab
    C = (n - 1) / (2 W)  sum_ab w_ab (x_a - x_b)^2 / sum_a z_a^2

All pairs are counted, none is sampled: a sum over pairs is a sum over the spectrum (Parseval), and
the spectrum of the even weights is a cosine transform of one octant. The last transform is taken of
a few lines at a time, so that no more than half a spectrum is ever held.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from igdd.kernels.compiled import njit

# Cells of the padded box beyond which a region is refused: about a gigabyte.
MOST_CELLS = 1e8
# Cells of the spectrum that are worked on at a time.
CHUNK = 1 << 18


def moran_geary(values: np.ndarray, region: np.ndarray, spacing: np.ndarray) -> tuple[float, float]:
    """Moran's I and Geary's C of values (i, j, k) in a region; `spacing` in mm.

    NaN where the region is flat or a single voxel, and where `too_large` says so.
    """
    count = int(region.sum())
    if count < 2 or too_large(region.shape):
        return float("nan"), float("nan")
    chosen = values[region]
    middle = chosen.mean()
    scale = float(np.abs(chosen - middle).max())
    # What is within rounding of one value is flat.
    if not scale > 16 * np.finfo(float).eps * np.abs(chosen).max():
        return float("nan"), float("nan")
    away = np.where(region, (values - middle) / scale, 0.0)
    half = [fft.next_fast_len(n, real=True) for n in region.shape]
    weights = _weights(half, spacing)
    (moran,) = _sums(weights, half, (away,), ((0, 0),))
    squares = away * away
    both = (region.astype(float), squares)
    pairs, mixed = _sums(weights, half, both, ((0, 0), (0, 1)))
    spread = squares.sum()
    return (
        float(count / pairs * moran / spread),
        float((count - 1) / pairs * (mixed - moran) / spread),
    )


def too_large(shape: tuple[int, ...]) -> bool:
    """Whether a box is too large for sums over all its pairs of voxels."""
    return 8 * float(np.prod(shape, dtype=float)) > MOST_CELLS


def _weights(half: list[int], spacing: np.ndarray) -> np.ndarray:
    """Spectrum of 1 / distance on a period of 2 m per axis: the octant of m + 1 frequencies."""
    axes = [(np.arange(n + 1) * step) ** 2 for n, step in zip(half, spacing.tolist(), strict=True)]
    distance = np.sqrt(axes[0][:, None, None] + axes[1][:, None] + axes[2])
    distance[0, 0, 0] = np.inf
    return np.asarray(fft.dctn(1 / distance, type=1, workers=2))


def _sums(
    weights: np.ndarray,
    half: list[int],
    fields: tuple[np.ndarray, ...],
    wanted: tuple[tuple[int, int], ...],
) -> list[float]:
    """Sums over all pairs of voxels of weight times one field times another.

    Lags reach n - 1 and fit into the period of 2 m, as m >= n.
    """
    spectra = [
        fft.rfftn(field, [2 * half[1], 2 * half[2]], axes=(1, 2), workers=2) for field in fields
    ]
    totals = np.zeros(len(wanted))
    width = max(CHUNK // (2 * half[0] * (half[2] + 1)), 1)
    for first in range(0, 2 * half[1], width):
        lines = slice(first, first + width)
        parts = [fft.fft(one[:, lines], 2 * half[0], axis=0, workers=2) for one in spectra]
        for n, (a, b) in enumerate(wanted):
            totals[n] += _spectral_sum(weights, parts[a], parts[b], first)
    return list(totals / (8 * half[0] * half[1] * half[2]))


@njit(cache=True, nogil=True)
def _spectral_sum(weights: np.ndarray, one: np.ndarray, other: np.ndarray, first: int) -> float:
    """Sum over the spectrum of weight times one times the other's conjugate, from line `first`.

    The weights are an octant: frequency f and 2 m - f are the same. The half space stands for both
    of its sides, save for its first and last plane.
    """
    rows, lines, last = one.shape[0], one.shape[1], one.shape[2] - 1
    columns = 2 * (weights.shape[1] - 1)
    total = 0.0
    for i in range(rows):
        row = min(i, rows - i)
        for j in range(lines):
            column = min(first + j, columns - first - j)
            part = 0.0
            for k in range(last + 1):
                a, b = one[i, j, k], other[i, j, k]
                share = weights[row, column, k] * (a.real * b.real + a.imag * b.imag)
                part += share if k == 0 or k == last else 2 * share
            total += part
    return total
