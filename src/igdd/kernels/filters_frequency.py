"""Filters that are defined by frequency: Simoncelli's non-separable wavelets, Riesz transforms.

IBSI 2 reference manual (arXiv:2006.05470). Frequencies are fractions of the Nyquist
frequency along each axis, as the manual has it: voxels count as cubes. The kernels have no end, so
that the whole image answers. A mirrored image is a sum of cosines, and its response one of cosines
and sines: the transform is exact and needs no larger lattice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, product
from math import factorial, prod

import numpy as np

from igdd.errors import InputError
from igdd.kernels.filters_separable import MODES, cut, whole

# Values of the lattice of twice the size beyond which it is refused: some 2 GB at work.
MOST_TERMS = 1 << 26

# From the radius (n, ...) to the transfer function there; 1 everywhere for a Riesz transform alone.
Radial = Callable[[np.ndarray], np.ndarray]


def simoncelli(level: int) -> Radial:
    """Band-pass transfer function of a level from 1 up, by the fraction of Nyquist's frequency.

    cos(pi/2 log2(2 r 2^(level - 1))) between a quarter and the whole of 2^(1 - level), 0 beyond
    (Portilla and Simoncelli 2000, Int J Comput Vis 40:49).

    >>> simoncelli(1)(np.array([0.0, 0.25, 0.5, 1.0])).round(3).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """

    def transfer(radius: np.ndarray) -> np.ndarray:
        scaled = radius * 2.0 ** (level - 1)
        inside = (scaled > 0.25) & (scaled < 1.0)
        octaves = np.log2(2 * scaled, where=inside, out=np.ones_like(scaled))
        return np.where(inside, np.cos(np.pi / 2 * octaves), 0.0)

    return transfer


def everything(radius: np.ndarray) -> np.ndarray:
    """Transfer function that lets every frequency pass."""
    return np.ones_like(radius)


def by_frequency(
    image: np.ndarray, radial: Radial, order: Sequence[int], padding: str
) -> np.ndarray:
    """Response along the first axes to a radial filter, Riesz-transformed by `order` along each.

    order  (0, 0, 0) for the radial filter itself, (1, 0, 0) for its Riesz transform along i; as
           many as there are axes to filter. The transfer function is

        (-i)^l sqrt(l! / (l1! l2! l3!)) n1^l1 n2^l2 n3^l3 / |n|^l radial(|n|),   l = l1 + l2 + l3

    It is sampled as the consensus maps have it, at as many points from -1 to 1 as the lattice has
    voxels, both ends included: on an even lattice half a step beside the frequencies of the Fourier
    transform. The response is the real part.
    """
    if padding == "periodic":
        return _periodic(image, radial, order)
    if padding == "mirror":
        return _mirrored(image, radial, order)
    if padding not in MODES:
        raise InputError(f"padding is {padding!r}; expected one of {', '.join(MODES)}")
    # The lattice of twice the size keeps the other side away by half an image.
    reach = [(size + 1) // 2 for size in image.shape[: len(order)]]
    reach += [0] * (image.ndim - len(order))
    size = prod(size + 2 * more for size, more in zip(image.shape, reach, strict=True))
    if size > MOST_TERMS:
        raise InputError(
            f"padding {padding!r} makes {size:.3g} voxels of the image; expected at most "
            f"{MOST_TERMS:.3g}; choose 'mirror' or 'periodic', which need no larger lattice"
        )
    wide = _periodic(cut(image, whole(image), reach, padding), radial, order)
    return wide[
        tuple(slice(more, size - more) for more, size in zip(reach, wide.shape, strict=True))
    ]


def _mirrored(image: np.ndarray, radial: Radial, order: Sequence[int]) -> np.ndarray:
    """The mirror image continues the image: the response of the lattice of twice the size.

    The samples of the transfer function are not symmetric about the origin. Each of its parts that
    is odd along some axes turns the image's cosines into sines along them; parts with an odd number
    of axes too few or too many for the order are imaginary, and drop out.
    """
    from scipy import fft

    axes = tuple(range(len(order)))
    terms = fft.dctn(image, axes=axes, norm="ortho")
    total = np.zeros(image.shape)
    for odd, part in _parts(image.shape[: len(order)], radial, order).items():
        sign = (-1) ** ((sum(order) - len(odd)) // 2)
        waves = terms * _columns(sign * part, image.ndim)
        for axis in axes:
            if axis in odd:
                # Sine k stands at k - 1; cosine 0, which is nought by now, takes the last place.
                waves = fft.idst(np.roll(waves, -1, axis=axis), axis=axis, norm="ortho")
            else:
                waves = fft.idct(waves, axis=axis, norm="ortho", overwrite_x=True)
        total += waves
    return total


def _parts(
    sizes: Sequence[int], radial: Radial, order: Sequence[int]
) -> dict[tuple[int, ...], np.ndarray]:
    """The transfer function on the lattice of twice the size, by the axes along which it is odd."""
    axes = range(len(order))
    kept = [
        odd
        for number in range(sum(order) % 2, len(order) + 1, 2)
        for odd in combinations(axes, number)
    ]
    parts = {odd: np.zeros(sizes) for odd in kept}
    for signs in product((1, -1), repeat=len(order)):
        places = []
        for size, sign in zip(sizes, signs, strict=True):
            place = (1 + 2 * sign * np.arange(size)) / (2 * size - 1)
            places.append(place)
        found = _transfer(places, radial, order) / 2 ** len(order)
        for odd in kept:
            parts[odd] += found * prod(signs[axis] for axis in odd)
    return parts


def _periodic(image: np.ndarray, radial: Radial, order: Sequence[int]) -> np.ndarray:
    """The image continues itself. A real response needs the mean of both halves of the spectrum."""
    from scipy import fft

    axes = tuple(range(len(order)))
    sizes = image.shape[: len(order)]
    places = [
        fft.ifftshift(np.linspace(-1, 1, size)) if size > 1 else np.zeros(1) for size in sizes
    ]
    turned = [np.roll(place[::-1], 1) for place in places]
    other = (-1) ** sum(order) * _transfer(turned, radial, order)
    both = (_transfer(places, radial, order) + other) / 2
    half = both[..., : sizes[-1] // 2 + 1] * (-1j) ** sum(order)
    spectrum = fft.rfftn(image, axes=axes) * _columns(half, image.ndim)
    return np.asarray(fft.irfftn(spectrum, s=sizes, axes=axes))


def _transfer(places: Sequence[np.ndarray], radial: Radial, order: Sequence[int]) -> np.ndarray:
    """Size of the transfer function on a lattice of frequencies; 0 at its origin if l > 0."""
    grid = np.meshgrid(*places, indexing="ij", sparse=True)
    square = np.zeros([place.size for place in places])
    for place in grid:
        square += place * place
    radius = np.sqrt(square)
    found = radial(radius)
    total = sum(order)
    if not total:
        return found
    weight = np.sqrt(factorial(total) / prod(factorial(number) for number in order))
    found *= weight / np.where(radius > 0, radius, np.inf) ** total
    for place, number in zip(grid, order, strict=True):
        found *= place**number
    return found


def _columns(lattice: np.ndarray, axes: int) -> np.ndarray:
    """A lattice that applies to every slice along the axes that it does not have."""
    return lattice.reshape(lattice.shape + (1,) * (axes - lattice.ndim))
