"""Convolution of a map with a kernel, slab by slab: zero outside the image, exact at its edges.

Every slab is read with as many planes on either side as the kernel reaches, so that slabs fit
together without a seam, and is padded with zeros along the other axes, so that nothing comes back
in from the far side. What the kernel carries out of the image is lost, as it is from the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy import fft

from igdd.errors import InputError

# Samples of a padded slab: 32 MB in double precision.
SAMPLES = 4_000_000

Read = Callable[[int, int], np.ndarray]


def convolve(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Values (i, j, k) convolved with an odd-sized kernel, in double precision; zero outside.

    A voxel without a value (NaN) puts nothing into the others, and has none in the answer.

    >>> point = np.zeros((3, 3, 3)); point[1, 1, 1] = 2.0
    >>> kernel = np.arange(27.0).reshape(3, 3, 3)
    >>> bool(np.allclose(convolve(point, kernel), 2 * kernel, atol=1e-12))
    True
    """
    found = np.empty(values.shape)
    hole = np.isnan(values)
    whole = np.where(hole, 0.0, values)
    shape = (values.shape[0], values.shape[1], values.shape[2])
    for first, last, (slab,) in slabs(lambda k, m: whole[:, :, k:m], shape, [kernel]):
        found[:, :, first:last] = slab
    found[hole] = np.nan
    return found


def slabs(
    read: Read,
    shape: tuple[int, int, int],
    kernels: Sequence[np.ndarray],
    samples: int = SAMPLES,
) -> Iterator[tuple[int, int, list[np.ndarray]]]:
    """(first, last, values by each kernel) of each slab along the last axis, in order.

    read     gives the planes (i, j, last - first) of the map, all of them finite
    samples  of a padded slab, which bounds the memory: some five times that in double precision,
             or as much as the planes that the largest kernel needs on either side
    """
    kernels = [_cut(kernel, shape) for kernel in kernels]
    half = [max(kernel.shape[axis] // 2 for kernel in kernels) for axis in range(3)]
    across = [fft.next_fast_len(shape[axis] + half[axis], real=True) for axis in (0, 1)]
    planes = max(samples // (across[0] * across[1]) - 2 * half[2], 2 * half[2], 1)
    planes = min(planes, shape[2])
    along = fft.next_fast_len(planes + 2 * half[2], real=True)
    padded = (across[0], across[1], along)
    known = [fft.rfftn(_centred(kernel, padded)) for kernel in kernels]
    for first in range(0, shape[2], planes):
        last = min(first + planes, shape[2])
        low, high = max(first - half[2], 0), min(last + half[2], shape[2])
        part = np.zeros(padded)
        begin = low - first + half[2]
        planes_read = read(low, high)
        if not np.isfinite(planes_read).all():  # one of them would make all of the answer so
            raise InputError("a value is not finite; expected 0 where there is none")
        part[: shape[0], : shape[1], begin : begin + high - low] = planes_read
        waves = fft.rfftn(part, overwrite_x=True)
        box = slice(shape[0]), slice(shape[1]), slice(half[2], half[2] + last - first)
        yield first, last, [fft.irfftn(waves * one, padded, overwrite_x=True)[box] for one in known]


def _cut(kernel: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The part of a kernel that has an effect within the image: up to the image's own size."""
    if kernel.ndim != 3 or not all(side % 2 for side in kernel.shape):
        raise InputError(
            f"the kernel has shape {kernel.shape}; expected three odd sides, its source in the "
            "middle"
        )
    half = [min(side // 2, size - 1) for side, size in zip(kernel.shape, shape, strict=True)]
    middles = zip(kernel.shape, half, strict=True)
    return kernel[tuple(slice(side // 2 - one, side // 2 + one + 1) for side, one in middles)]


def _centred(kernel: np.ndarray, padded: tuple[int, int, int]) -> np.ndarray:
    """The kernel in a padded box with its source at the origin, its lower half wrapped around."""
    found = np.zeros(padded)
    found[tuple(slice(side) for side in kernel.shape)] = kernel
    return np.roll(found, [-((side - 1) // 2) for side in kernel.shape], axis=(0, 1, 2))
