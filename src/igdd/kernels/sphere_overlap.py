"""The volume that boxes share with a sphere, exactly.

A box is a signed sum of eight corners, and the part of a sphere beyond a corner has a closed form:
the integral over z of the circle's part beyond two perpendicular lines.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.compiled import njit


@njit(cache=True, nogil=True)
def box_shares(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, size: np.ndarray, radius: float
) -> np.ndarray:
    """Share of each box of `size`, centred at x, y, z from the sphere's centre, in the sphere."""
    shares = np.zeros((x.size, y.size, z.size))
    half = size / 2
    volume = size[0] * size[1] * size[2]
    for i in range(x.size):
        for j in range(y.size):
            for k in range(z.size):
                ax, ay, az = abs(x[i]), abs(y[j]), abs(z[k])
                near = max(ax - half[0], 0.0) ** 2 + max(ay - half[1], 0.0) ** 2
                near += max(az - half[2], 0.0) ** 2
                if near >= radius**2:
                    continue
                far = (ax + half[0]) ** 2 + (ay + half[1]) ** 2 + (az + half[2]) ** 2
                if far <= radius**2:
                    shares[i, j, k] = 1.0
                    continue
                shared = 0.0
                for corner in range(8):
                    a = ax - half[0] if corner & 1 else ax + half[0]
                    b = ay - half[1] if corner & 2 else ay + half[1]
                    c = az - half[2] if corner & 4 else az + half[2]
                    even = (corner & 1) + (corner >> 1 & 1) + (corner >> 2 & 1)
                    sign = -1.0 if even % 2 == 0 else 1.0
                    shared += sign * _beyond(a / radius, b / radius, c / radius)
                shares[i, j, k] = min(max(shared * radius**3 / volume, 0.0), 1.0)
    return shares


@njit(cache=True, nogil=True)
def _beyond(a: float, b: float, c: float) -> float:
    """Volume of the unit sphere where x >= a, y >= b and z >= c, for corners of any sign."""
    total = 0.0
    for term in range(8):
        # Mirror at 0: beyond -a lies twice what is beyond 0, less what is beyond a.
        factor = 1.0
        p, q, r = a, b, c
        if term & 1:
            if a >= 0:
                continue
            factor, p = -factor, -a
        elif a < 0:
            factor, p = 2 * factor, 0.0
        if term & 2:
            if b >= 0:
                continue
            factor, q = -factor, -b
        elif b < 0:
            factor, q = 2 * factor, 0.0
        if term & 4:
            if c >= 0:
                continue
            factor, r = -factor, -c
        elif c < 0:
            factor, r = 2 * factor, 0.0
        total += factor * _octant(p, q, r)
    return total


@njit(cache=True, nogil=True)
def _octant(a: float, b: float, c: float) -> float:
    """Volume of the unit sphere where x >= a, y >= b and z >= c, none of them below 0.

    Integral over z, from c to sqrt(1 - a^2 - b^2), of the circle's part beyond two lines,
    (w^2 (pi/2 - asin(a/w) - asin(b/w)) - a sqrt(w^2 - a^2) - b sqrt(w^2 - b^2)) / 2 + a b,
    with w^2 = 1 - z^2.
    """
    if a * a + b * b + c * c >= 1:
        return 0.0
    top = np.sqrt(1 - a * a - b * b)
    whole = np.pi / 4 * (top - top**3 / 3 - c + c**3 / 3) + a * b * (top - c)
    ends = _slab(a, top, b) + _slab(b, top, a)
    starts = _slab(a, c, np.sqrt(1 - a * a - c * c)) + _slab(b, c, np.sqrt(1 - b * b - c * c))
    return float(whole - ends + starts)


@njit(cache=True, nogil=True)
def _slab(a: float, z: float, root: float) -> float:
    """Antiderivative in z of ((1 - z^2) asin(a / sqrt(1 - z^2)) + a root) / 2.

    root  sqrt(1 - a^2 - z^2), given since the caller knows it without cancellation
    """
    if a == 0:
        return 0.0
    wide = 1 - a * a
    angle = np.arctan2(z, root)
    slope = np.arctan2(a, root)
    square = (wide * angle - z * root) / 2  # of z^2 / root
    first = (z - z**3 / 3) * slope
    first -= a * (square / 3 - 2 * angle / 3) + 2 / 3 * np.arctan2(a * z, root)
    second = a * (z * root + wide * angle) / 2
    return float((first + second) / 2)
