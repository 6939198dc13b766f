"""Separable filters: one short kernel along each axis, the four paddings, and rotation invariance.

IBSI 2 reference manual (arXiv:2006.05470): what lies beyond the image is zero,
its nearest voxel, the image again (periodic), or its mirror image (the edge voxel stands twice).
A rotation-invariant response is the maximum, the minimum or the mean over the right-angle rotations
of the kernel: 24 in the volume, 4 in the plane of i and j.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Literal

import numpy as np

from igdd.errors import InputError

# The manual's paddings, and what scipy.ndimage calls them.
MODES: dict[str, Literal["constant", "nearest", "wrap", "reflect"]] = {
    "zero": "constant",
    "nearest": "nearest",
    "periodic": "wrap",
    "mirror": "reflect",
}
POOLINGS = ("max", "min", "mean")

# What is applied along one axis: odd kernels, one after the other, each with its own padding.
Line = tuple[np.ndarray, ...]
Lines = tuple[Line, ...]


def padded_places(start: int, stop: int, size: int, padding: str) -> np.ndarray:
    """Voxel of an axis of `size` that stands at each place from start to stop; -1 for zero.

    >>> padded_places(-2, 5, 3, "mirror").tolist()
    [1, 0, 0, 1, 2, 2, 1]
    """
    places = np.arange(start, stop)
    if padding == "zero":
        return np.where((places < 0) | (places >= size), -1, places)
    if padding == "nearest":
        return np.clip(places, 0, size - 1)
    if padding == "periodic":
        return places % size
    if padding == "mirror":
        folded = places % (2 * size)
        return np.minimum(folded, 2 * size - 1 - folded)
    raise InputError(f"padding is {padding!r}; expected one of {', '.join(MODES)}")


def whole(image: np.ndarray) -> tuple[slice, ...]:
    """The box that is all of an image."""
    return tuple(slice(0, size) for size in image.shape)


def cut(image: np.ndarray, box: Sequence[slice], reach: Sequence[int], padding: str) -> np.ndarray:
    """A box of an image and as many voxels around it as `reach` says, also beyond the image."""
    for axis, (part, more) in enumerate(zip(box, reach, strict=True)):
        size = image.shape[axis]
        if more == 0 and part == slice(0, size):
            continue
        places = padded_places(part.start - more, part.stop + more, size, padding)
        image = np.take(image, np.maximum(places, 0), axis=axis)
        outside = places < 0
        if outside.any():
            image[(slice(None),) * axis + (outside,)] = 0.0
    return image


def along(image: np.ndarray, line: Line, axis: int, padding: str) -> np.ndarray:
    """Convolution along one axis with odd kernels, one after the other, centred on their middle."""
    from scipy.ndimage import convolve1d

    if padding not in MODES:
        raise InputError(f"padding is {padding!r}; expected one of {', '.join(MODES)}")
    for kernel in line:
        image = convolve1d(image, kernel, axis=axis, mode=MODES[padding])
    return image


def near(marked: np.ndarray, size: Sequence[int], padding: str) -> np.ndarray:
    """Where a box of an odd size around a voxel holds a marked one; zeros beyond are unmarked."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(marked, size=tuple(size), mode=MODES[padding], cval=0.0))


def separable(image: np.ndarray, lines: Lines, padding: str) -> np.ndarray:
    """Convolution with a line of kernels along each of the first axes of an image."""
    for axis, line in enumerate(lines):
        image = along(image, line, axis, padding)
    return image


def rotations(lines: Lines) -> list[Lines]:
    """The kernels along i, j (and k) after every right-angle rotation; each product once.

    >>> edge, level = (np.array([-1.0, 0.0, 1.0]),), (np.array([1.0, 2.0, 1.0]),)
    >>> len(rotations((edge, level))), len(rotations((level, level, edge)))
    (4, 6)
    """
    found: dict[tuple[bytes, ...], Lines] = {}
    number = len(lines)
    for order in permutations(range(number)):
        parity = np.linalg.det(np.eye(number)[list(order)])
        for flips in product((1, -1), repeat=number):
            if np.prod(flips) * parity < 0:
                continue
            turned = tuple(
                tuple(kernel[::flip] for kernel in lines[axis])
                for axis, flip in zip(order, flips, strict=True)
            )
            found.setdefault(tuple(_identity(line) for line in turned), turned)
    return [found[key] for key in sorted(found)]


def rotated(image: np.ndarray, lines: Lines, padding: str, pooling: str) -> np.ndarray:
    """The pooled response to all right-angle rotations of a separable kernel."""
    return pooled(_responses(image, rotations(lines), 0, padding), pooling)


def pooled(responses: Iterator[np.ndarray], pooling: str) -> np.ndarray:
    """Maximum, minimum or mean of response maps, one in memory at a time."""
    join = {"max": np.maximum, "min": np.minimum, "mean": np.add}.get(pooling)
    if join is None:
        raise InputError(f"pooling is {pooling!r}; expected one of {', '.join(POOLINGS)}")
    total = next(responses).copy()
    number = 1
    for response in responses:
        join(total, response, out=total)
        number += 1
    return total / number if pooling == "mean" else total


def energy(response: np.ndarray, delta: int, axes: int, padding: str) -> np.ndarray:
    """Mean absolute response in the box of 2 delta + 1 voxels along the first axes."""
    return mean(np.abs(response), 2 * delta + 1, axes, padding)


def mean(image: np.ndarray, support: int, axes: int, padding: str) -> np.ndarray:
    """Mean of the box of an odd number of voxels along the first axes (2 or 3) at each voxel."""
    return separable(image, ((np.full(support, 1.0 / support),),) * axes, padding)


def _responses(
    image: np.ndarray, turned: list[Lines], axis: int, padding: str
) -> Iterator[np.ndarray]:
    """The response to each product; those with the same first kernels share their passes."""
    if axis == len(turned[0]):
        yield image
        return
    groups: dict[bytes, list[Lines]] = {}
    for lines in turned:
        groups.setdefault(_identity(lines[axis]), []).append(lines)
    for group in groups.values():
        partial = along(image, group[0][axis], axis, padding)
        yield from _responses(partial, group, axis + 1, padding)


def _identity(line: Line) -> bytes:
    """Equal for kernels that are equal but for the rounding of their arithmetic."""
    return b"|".join((np.round(kernel, 12) + 0.0).tobytes() for kernel in line)
