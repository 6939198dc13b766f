"""The virtual PET scanner: blur, decay, counts, noise and calibration error.

A lattice finer than the image carries the truth. The total point spread is that of the detectors
followed by that of a smoothing filter, which also correlates the noise. Blurring uses the discrete
Gaussian of Lindeberg (scale-space theory, 1990), whose variance is exact at any width; total
activity is unchanged as long as the body is surrounded by air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.errors import InputError

FWHM = float(np.sqrt(8 * np.log(2)))  # full width at half maximum over standard deviation
ZR89_HALF_LIFE = 282276.0  # s; ICRP Publication 107 (78.41 h)
MILLILITRE = 1000.0  # mm3


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One acquisition: what the scanner does to the truth, known and unknown to its user.

    psf          true FWHM in mm of the whole chain, detectors and filter
    smoothing    FWHM in mm of the filter alone
    sensitivity  counts per decay, all losses included
    background   counts of randoms and scatter per voxel, over the mean of a body voxel; they are
                 subtracted again without bias, so that voxels can be negative
    calibration  factor by which this scan reads wrong
    start        s after administration; duration in s
    """

    psf: float
    smoothing: float
    sensitivity: float
    background: float
    calibration: float
    start: float
    duration: float


def kernel(fwhm: float, spacing: float) -> np.ndarray:
    """Discrete Gaussian of a FWHM in mm on samples `spacing` mm apart: sums to 1, exact variance.

    >>> kernel(4.0, 4.0).round(3)
    array([0.   , 0.003, 0.076, 0.842, 0.076, 0.003, 0.   ])
    """
    from scipy.special import ive

    variance = (fwhm / FWHM / spacing) ** 2
    reach = int(np.ceil(5 * np.sqrt(variance))) or 1
    weights = np.asarray(ive(np.abs(np.arange(-reach, reach + 1)), variance))
    return np.asarray(weights / weights.sum())


def decay(seconds: float) -> float:
    """Share of Zr-89 left after `seconds`."""
    return float(np.exp2(-seconds / ZR89_HALF_LIFE))


def mean_decay(duration: float) -> float:
    """Mean activity over a frame of `duration` s, over that at its start."""
    exponent = np.log(2) * duration / ZR89_HALF_LIFE
    return float(-np.expm1(-exponent) / exponent)


def blur_and_bin(fine: np.ndarray, fwhm: float, spacing: float, factor: int) -> np.ndarray:
    """Truth on a fine lattice, blurred by a FWHM in mm and averaged over image voxels.

    An image voxel is `factor` fine voxels wide; `spacing` is that of the fine lattice in mm.
    """
    from scipy.ndimage import correlate1d

    if any(size % factor for size in fine.shape):
        raise InputError(f"a lattice of {fine.shape} cannot be binned by {factor}; pad it")
    weights = kernel(fwhm, spacing)
    image = fine.astype(np.float32, copy=False)
    for axis in (2, 1, 0):
        image = correlate1d(image, weights, axis=axis, mode="constant")
        shape = (*image.shape[:axis], -1, factor, *image.shape[axis + 1 :])
        image = image.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return image


def acquire(
    concentration: np.ndarray, spacing: float, factor: int, scan: Scan, rng: np.random.Generator
) -> np.ndarray:
    """Image in Bq/mL, corrected for decay to the scan's start, with everything that is wrong in it.

    `concentration` is the truth in Bq/mL at the scan's start, on a lattice of `spacing` mm.
    """
    from scipy.ndimage import correlate1d

    if not scan.psf > scan.smoothing:
        raise InputError(
            f"a point spread of {scan.psf} mm cannot hold a filter of {scan.smoothing} mm; "
            "expected a wider point spread"
        )
    detectors = float(np.sqrt(scan.psf**2 - scan.smoothing**2))
    sharp = blur_and_bin(concentration, detectors, spacing, factor)
    voxel = (spacing * factor) ** 3 / MILLILITRE
    gain = scan.sensitivity * voxel * scan.duration * mean_decay(scan.duration)
    inside = sharp > 0.01 * sharp.mean()
    background = scan.background * gain * float(sharp[inside].mean(dtype=np.float64))
    counts = rng.poisson(sharp * np.float32(gain) + np.float32(background))
    image = ((counts - background) * (scan.calibration / gain)).astype(np.float32)
    weights = kernel(scan.smoothing, spacing * factor)
    for axis in range(3):
        image = correlate1d(image, weights, axis=axis, mode="nearest")
    return np.asarray(image)
