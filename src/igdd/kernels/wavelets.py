"""Wavelets of the stationary (undecimated) transform: their kernels along one axis, by level.

IBSI 2 reference manual (arXiv:2006.05470). Daubechies' wavelets come from the factorisation of her
trigonometric polynomial (Ten Lectures on Wavelets, SIAM 1992, chapter 6; extremal phase), the first
coiflet from its closed form (Daubechies 1993, SIAM J Math Anal 24:499).
"""

from __future__ import annotations

import math
import re

import numpy as np

from igdd.errors import InputError
from igdd.kernels.filters_separable import Lines

# Beyond, the roots of the factorisation lose digits.
MOST_MOMENTS = 10


def low_pass(name: str) -> np.ndarray:
    """Decomposition low-pass filter of "haar", "db1" to "db10" or "coif1", of sum sqrt(2).

    >>> low_pass("db2").round(4).tolist()
    [-0.1294, 0.2241, 0.8365, 0.483]
    """
    if name == "haar":
        return _daubechies(1)
    if name == "coif1":
        root = math.sqrt(7)
        terms = [1 - root, 5 + root, 14 + 2 * root, 14 - 2 * root, 1 - root, root - 3]
        return np.array(terms)[::-1] / (16 * math.sqrt(2))
    match = re.fullmatch(r"db([1-9]\d?)", name)
    if match and int(match[1]) <= MOST_MOMENTS:
        return _daubechies(int(match[1]))
    raise InputError(f"wavelet is {name!r}; expected haar, db1 to db{MOST_MOMENTS}, or coif1")


def high_pass(name: str) -> np.ndarray:
    """Decomposition high-pass filter: the quadrature mirror of the low-pass filter.

    >>> high_pass("haar").round(4).tolist()
    [-0.7071, 0.7071]
    """
    low = low_pass(name)
    return low[::-1] * np.where(np.arange(low.size) % 2 == 0, -1.0, 1.0)


def stationary(name: str, letters: str, level: int) -> Lines:
    """Kernels along i, j (and k) for a band, "LH" or "LLH", at a level from 1 up.

    One kernel per level: those before the last are low-pass, and each level doubles the distance
    between a filter's entries.
    """
    if len(letters) not in (2, 3) or set(letters) - {"L", "H"}:
        raise InputError(f"band is {letters!r}; expected two or three of L and H, as in 'LLH'")
    low = low_pass(name)
    last = {"L": low, "H": high_pass(name)}
    return tuple(
        tuple(
            spread(filter_, 2**number)
            for number, filter_ in enumerate([low] * (level - 1) + [last[letter]])
        )
        for letter in letters
    )


def spread(kernel: np.ndarray, step: int) -> np.ndarray:
    """An even kernel with step - 1 zeros after each entry, odd by one more zero at its end.

    So its centre is the first entry of its second half, wherever it is turned to.

    >>> spread(np.array([1.0, 2.0]), 2).tolist()
    [1.0, 0.0, 2.0, 0.0, 0.0]
    """
    wide = np.zeros(kernel.size * step + 1)
    wide[:-1:step] = kernel
    return wide


def _daubechies(moments: int) -> np.ndarray:
    """Low-pass filter with a number of vanishing moments, the one of extremal phase."""
    terms = [math.comb(moments - 1 + n, n) for n in range(moments)]
    roots = []
    # P(y) with y = (2 - z - 1/z) / 4; of each pair z, 1/z the one inside the circle.
    for root in np.roots(terms[::-1]) if moments > 1 else []:
        middle = 1 - 2 * root
        away = np.sqrt(middle * middle - 1)
        inside = middle + away
        roots.append(inside if abs(inside) < 1 else middle - away)
    kernel = np.real(np.poly([-1.0] * moments + roots))
    return np.asarray(kernel[::-1] * (math.sqrt(2) / kernel.sum()))
