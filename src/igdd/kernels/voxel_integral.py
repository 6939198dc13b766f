"""Time-integrated activity of every voxel, from two or more images on one grid, in one pass.

Straight lines between the images and a triangle before the first; after the last, the last value
over an effective rate. That rate is the voxel's own (log-linear over the last two or three images,
weighted by squared activity, as the noise of logarithms asks for), never below the decay constant;
where a value has no logarithm, or noise makes the voxel rise, the rate of its region stands in
(`fallback`). Own rates of noisy voxels bend the mean over a region upwards (by 17 % where noise is
half of the signal, four images), for the flat ones gain more than the steep ones lose; `own=False`
gives every voxel the rate of its region, and no bend. Nothing is clipped: a voxel below zero stays
below zero. Images stream through in parts of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit

# What is to be said of a voxel.
HELD, FALLBACK, MISSING = 1, 2, 4
# Voxels in a part, so that several images of them fit into the cache of a core.
PART = 65536


class VoxelIntegral(NamedTuple):
    """Decays (n,) in activity times time, those of them after the last image, and bits (n,).

    HELD      the voxel falls no faster than by decay; the number is a bound
    FALLBACK  its tail is that of `fallback`, not its own
    MISSING   an image holds no value there: NaN
    """

    decays: np.ndarray
    tail: np.ndarray
    bits: np.ndarray


def integrate(
    time: np.ndarray,
    images: np.ndarray,
    decay: float,
    *,
    fallback: float,
    last: int = 3,
    own: bool = True,
) -> VoxelIntegral:
    """Decays of voxels from physical activity `images` (t, n) at ascending times (t,).

    decay     decay constant, 1/unit of time
    fallback  effective rate where a voxel has none of its own, at least the decay constant
    last      images by which a voxel's own rate is found, 2 or more; fewer are taken where there
              are fewer
    own       whether voxels have tails of their own; else all have that of `fallback`

    >>> hours = np.array([4.0, 24.0, 96.0])
    >>> image = 8 * np.exp(-0.02 * hours)[:, None]
    >>> found = integrate(hours, image, 0.004, fallback=0.01)
    >>> float((found.tail / (image[-1] / 0.02)).round(9)[0])
    1.0
    """
    time = np.ascontiguousarray(time, dtype=np.float64)
    if images.ndim != 2 or images.shape[0] != time.size or time.size < 2:
        raise InputError(
            f"images of shape {images.shape} at {time.size} times; expected two or more (t, n)"
        )
    if not (time[0] >= 0 and (np.diff(time) > 0).all() and np.isfinite(time).all()):
        raise InputError("times of the images must ascend from administration on, each once")
    if not (0 < decay <= fallback * (1 + 1e-12) < np.inf):
        raise InputError(
            f"rates: decay {decay:g}, fallback {fallback:g}; expected the effective rate to be at "
            "least the decay constant, both above 0"
        )
    if last < 2:
        raise InputError(f"a rate from {last} image; expected 2 or more")
    count = images.shape[1]
    decays, tail = np.empty(count), np.empty(count)
    bits = np.empty(count, dtype=np.uint8)
    values = np.ascontiguousarray(images)
    points = min(last, time.size) if own else 0
    _integrate(time, values, (decay, fallback), points, (decays, tail, bits))
    return VoxelIntegral(decays, tail, bits)


@njit(cache=True, nogil=True)
def _integrate(
    time: np.ndarray,
    images: np.ndarray,
    rates: tuple[float, float],
    last: int,
    out: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    (decay, fallback), (decays, tail, bits) = rates, out
    times = time.size
    for voxel in range(images.shape[1]):
        first = images[0, voxel]
        area = first * time[0] / 2
        known = np.isfinite(first)
        for k in range(1, times):
            known = known and np.isfinite(images[k, voxel])
            area += (time[k] - time[k - 1]) * (images[k, voxel] + images[k - 1, voxel]) / 2
        if not known:
            decays[voxel], tail[voxel], bits[voxel] = np.nan, np.nan, MISSING
            continue
        weight, middle, level, positive = 0.0, 0.0, 0.0, last > 0
        for k in range(times - last, times):
            value = images[k, voxel]
            if not value > 0:
                positive = False
                break
            weight += value * value
            middle += value * value * time[k]
            level += value * value * np.log(value)
        end, bit = images[times - 1, voxel], 0
        rate = fallback
        if positive:
            middle, level = middle / weight, level / weight
            cross, square = 0.0, 0.0
            for k in range(times - last, times):
                value = images[k, voxel]
                away = time[k] - middle
                cross += value * value * away * (np.log(value) - level)
                square += value * value * away * away
            own = -cross / square if square > 0 else 0.0
            if own > decay:
                rate = own
            elif own > 0:
                rate, bit = decay, HELD
            else:
                bit = FALLBACK
        else:
            bit = FALLBACK
        tail[voxel] = end / rate
        decays[voxel] = area + tail[voxel]
        bits[voxel] = bit


def parts(
    count: int, read: Callable[[slice], np.ndarray], size: int = PART
) -> Iterator[tuple[slice, np.ndarray]]:
    """Voxels of images in parts: `read(slice)` gives (t, n) of some of them, from disk or memory.

    >>> image = np.arange(10.0).reshape(2, 5)
    >>> [part.shape for _, part in parts(5, lambda where: image[:, where], size=3)]
    [(2, 3), (2, 2)]
    """
    for begin in range(0, count, size):
        where = slice(begin, min(begin + size, count))
        yield where, read(where)
