"""Laplacian of Gaussian, Laws' kernels and Gabor filters.

IBSI 2 reference manual (arXiv:2006.05470). Lengths are in mm and `spacing` is the voxel
size along i, j, k; the first axes of an image are filtered, two of them slice by slice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from igdd.errors import InputError
from igdd.kernels.filters_separable import Lines, along, cut, pooled

# Deviations at which a Gabor filter's envelope ends: exp(-6**2 / 2) is 1.5e-8 of its centre, so
# that the offset of a CT image does not leak in.
ENVELOPE = 6.0
# Values that are transformed at once: some 100 MB.
MOST_AT_ONCE = 1 << 21

# Laws (1980), normalised to unit length: level, edge, spot, wave, ripple.
_LAWS = {
    "L3": (1, 2, 1),
    "L5": (1, 4, 6, 4, 1),
    "E3": (-1, 0, 1),
    "E5": (-1, -2, 0, 2, 1),
    "S3": (-1, 2, -1),
    "S5": (-1, 0, 2, 0, -1),
    "W5": (-1, 2, 0, -2, 1),
    "R5": (1, -4, 6, -4, 1),
}


def laws(name: str) -> Lines:
    """Kernels along i, j (and k) of a Laws filter, "L5E5" or "E5L5S5", each of unit length.

    >>> [kernel.round(3).tolist() for (kernel,) in laws("L3E3")]
    [[0.408, 0.816, 0.408], [-0.707, 0.0, 0.707]]
    """
    parts = [name[start : start + 2] for start in range(0, len(name), 2)]
    if len(parts) not in (2, 3) or any(part not in _LAWS for part in parts):
        raise InputError(
            f"kernel is {name!r}; expected two or three of {', '.join(_LAWS)} in a row"
        )
    found = [np.array(_LAWS[part], dtype=float) for part in parts]
    return tuple((kernel / np.linalg.norm(kernel),) for kernel in found)


def laplacian_of_gaussian(
    image: np.ndarray, sigma: Sequence[float], cutoff: float, padding: str
) -> np.ndarray:
    """Laplacian of Gaussian along as many first axes as there are sigmas, in voxels.

    The kernel is sampled at the voxel centres and cut off, as the manual has it, at
    floor(cutoff sigma + 1/2) voxels: a box, so that it is a sum of separable ones. The response is
    per square of the first voxel size; where voxels are no cubes it is the Laplacian in mm still.
    """
    smoothed, sharpened = image, None
    for axis, width in enumerate(sigma):
        reach = laplacian_reach(width, cutoff)
        square = (np.arange(-reach, reach + 1) / width) ** 2
        bell = np.exp(-square / 2) / (width * np.sqrt(2 * np.pi))
        curved = along(smoothed, (bell * (square - 1) / sigma[0] ** 2,), axis, padding)
        if sharpened is not None:
            curved += along(sharpened, (bell,), axis, padding)
        sharpened = curved
        if axis < len(sigma) - 1:
            smoothed = along(smoothed, (bell,), axis, padding)
    return np.asarray(sharpened)


def laplacian_reach(sigma: float, cutoff: float) -> int:
    """Voxels on either side of the centre that the kernel has.

    >>> laplacian_reach(1.5, 4.0)
    6
    """
    return int(np.floor(cutoff * sigma + 0.5))


def gabor_reach(sigma: float, gamma: float, spacing: float) -> int:
    """Voxels on either side of the centre of a Gabor filter's kernel."""
    return int(np.ceil(ENVELOPE * sigma * max(1.0, 1.0 / gamma) / spacing))


def gabor_kernel(shape: Sequence[float], theta: float, spacing: Sequence[float]) -> np.ndarray:
    """Complex Gabor kernel of one plane; shape (sigma and wavelength in mm, gamma).

    theta  radian, from the plane's first axis to its second: the direction of the wave

    exp(-(u^2 + gamma^2 v^2) / (2 sigma^2) + 2 pi i u / wavelength).
    """
    sigma, wavelength, gamma = shape
    first, second = (
        np.arange(-reach, reach + 1) * size
        for reach, size in ((gabor_reach(sigma, gamma, size), size) for size in spacing)
    )
    u = first[:, None] * np.cos(theta) + second[None, :] * np.sin(theta)
    v = second[None, :] * np.cos(theta) - first[:, None] * np.sin(theta)
    envelope = (u * u + (gamma * v) ** 2) / (2 * sigma**2)
    return np.asarray(np.exp(-envelope + 2j * np.pi * u / wavelength))


def gabor(
    image: np.ndarray,
    kernels: Sequence[np.ndarray],
    axes: tuple[int, int],
    padding: str,
    *,
    pooling: str,
    box: Sequence[slice],
) -> np.ndarray:
    """Modulus of the response to complex kernels in every plane of two axes, pooled, in a box.

    kernels  of one odd shape
    """
    from scipy import fft

    reach = [0, 0, 0]
    sizes = [part.stop - part.start for part in box]
    lattice, known = [], [slice(None)]
    for axis, size in zip(axes, kernels[0].shape, strict=True):
        reach[axis] = size // 2
        lattice.append(fft.next_fast_len(sizes[axis] + size - 1))
        known.append(slice(size - 1, size - 1 + sizes[axis]))
    planes = np.moveaxis(cut(image, box, reach, padding), axes, (1, 2))
    at_once = max(MOST_AT_ONCE // int(np.prod(lattice)), 1)
    found = []
    for start in range(0, planes.shape[0], at_once):
        terms = fft.fft2(planes[start : start + at_once], lattice)
        responses = (
            np.abs(fft.ifft2(terms * fft.fft2(kernel, lattice), overwrite_x=True)[tuple(known)])
            for kernel in kernels
        )
        found.append(pooled(responses, pooling))
    return np.moveaxis(np.concatenate(found), (1, 2), axes)
