"""Matched resolution: an image, and its noise, as a blurrier scanner would have given them.

An image of point spread p (FWHM) becomes one of p' > p by a Gaussian of sqrt(p'^2 - p^2). Its noise
falls with that, and its correlation grows: white noise smoothed by n becomes white noise smoothed
by sqrt(n^2 + p'^2 - p^2).
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.blur import TRUNCATE, sigma_of


def lacking(fwhm: float, wanted: float) -> float:
    """FWHM in mm of the Gaussian between two point spreads; 0 where the image is as blurred.

    >>> lacking(3.0, 5.0)
    4.0
    """
    return float(np.sqrt(max(wanted**2 - fwhm**2, 0.0)))


def reach(spacing: np.ndarray, fwhm: float) -> np.ndarray:
    """Voxels (3,) around a place that have a part in it after a blur of a FWHM in mm."""
    return np.asarray((TRUNCATE * sigma_of(fwhm, spacing) + 0.5).astype(int))


def blurred(values: np.ndarray, spacing: np.ndarray, fwhm: float) -> np.ndarray:
    """Values (i, j, k) under a Gaussian of a FWHM in mm; a voxel without a value has no part in it.

    Beyond the image's border nothing is known either: what is known is weighted anew.
    """
    known = np.isfinite(values)
    total, weight = (
        _smoothed(part, spacing, fwhm)
        for part in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.asarray(np.divide(total, weight, out=np.full(values.shape, np.nan), where=known))


def blurred_variance(
    variance: np.ndarray, known: np.ndarray, spacing: np.ndarray, fwhm: float, *, noise: float
) -> np.ndarray:
    """Variance (i, j, k) of `blurred` values, for noise whose correlation has a FWHM `noise` in mm.

    Var = sum_ij k_i k_j R_ij s_i s_j / (sum_known k)^2. Exact where the noise is white, or of one
    strength and known over all of the kernel; else as far as its strength hardly changes within
    its correlation.
    """
    from scipy.ndimage import correlate1d

    total = np.where(known, variance, 0.0).astype(float)
    growth = 1.0
    for axis, sigma in enumerate(sigma_of(fwhm, spacing).tolist()):
        kernel = _kernel(sigma)
        apart = np.subtract.outer(np.arange(kernel.size), np.arange(kernel.size)) * spacing[axis]
        width = float(sigma_of(noise, np.ones(1))[0])
        alike = np.exp(-(apart**2) / (4 * width**2)) if width > 0 else (apart == 0).astype(float)
        growth *= float(kernel @ alike @ kernel) / float(kernel @ kernel)
        total = correlate1d(total, kernel**2, axis=axis, mode="constant")
    weight = _smoothed(known.astype(float), spacing, fwhm)
    found = np.full(total.shape, np.nan)
    return np.asarray(np.divide(growth * total, weight**2, out=found, where=known))


def _smoothed(field: np.ndarray, spacing: np.ndarray, fwhm: float) -> np.ndarray:
    """The field under the kernel; nothing lies beyond its border."""
    from scipy.ndimage import correlate1d

    made = np.asarray(field, dtype=float)
    for axis, sigma in enumerate(sigma_of(fwhm, spacing).tolist()):
        made = correlate1d(made, _kernel(sigma), axis=axis, mode="constant")
    return made


def _kernel(sigma: float) -> np.ndarray:
    """Gaussian weights along an axis, of sum one; `sigma` in voxels."""
    half = int(TRUNCATE * sigma + 0.5)
    if not half:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())
