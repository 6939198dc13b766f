"""From energy around a point to energy around a voxel, and in a sphere.

A source somewhere in a voxel of sides a leaves energy at distance r in any direction u. The share
of it that falls into the voxel i steps away is the mean over u of the product over the axes of
T(r u / a - i), with T(x) = max(1 - |x|, 0), the overlap of a unit box with itself moved by x. These
shares add up to 1 for every r and u, so the kernel holds exactly the energy of the point source.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit
from igdd.kernels.electron_tracks import Radial

# Directions along a side of the square that covers an octant, at a distance of no and of one voxel.
DIRECTIONS, MORE = 10, 1.5
# Largest kernel in samples: 256 MB in double precision.
MOST = 32_000_000
GOLDEN = 0.6180339887498949
SHUFFLED = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])


def voxel_kernel(around: Radial, sides: np.ndarray) -> np.ndarray:
    """Energy in MeV left in each voxel (odd, odd, odd) around a source spread in the middle one.

    sides  of a voxel (3,) in the unit of the radii

    Its sum is that of the point source to rounding. An image with voxels so small that the kernel
    would not fit into memory is refused.

    >>> point = Radial(np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    >>> found = voxel_kernel(point, np.array([2.0, 2.0, 2.0]))
    >>> found.shape, round(float(found.sum()), 9)
    ((3, 3, 3), 4.0)
    """
    sides = np.asarray(sides, dtype=float)
    if sides.shape != (3,) or not (sides > 0).all() or not np.isfinite(sides).all():
        raise InputError(f"sides of a voxel are {sides.tolist()}; expected three lengths above 0")
    reach = float(around.radius.max(initial=0.0))
    half = np.ceil(reach / sides).clip(1)
    if np.prod(2 * half + 1) > MOST:
        raise InputError(
            f"voxels of {' x '.join(f'{side:.3g}' for side in sides)} are so small against a reach "
            f"of {reach:.3g} (g/cm2) that the kernel would hold {np.prod(2 * half + 1):.3g} "
            f"samples; expected at most {MOST:.3g}; use larger voxels"
        )
    octant = np.zeros(tuple(int(steps) + 2 for steps in half))
    _spread(around.radius, around.energy, sides, octant)
    octant = octant[tuple(slice(int(steps) + 1) for steps in half)]
    for axis in range(3):  # what lies off a plane of symmetry is shared by its two sides
        octant[tuple(slice(1, None) if axis == one else slice(None) for one in range(3))] /= 2
        octant = np.concatenate([np.flip(octant, axis).take(range(octant.shape[axis] - 1), axis),
                                 octant], axis)  # fmt: skip
    return octant


def radius_within(around: Radial, share: float) -> float:
    """Radius of the sphere around a point source that holds a share of its energy."""
    held = np.cumsum(around.energy)
    return float(np.interp(share * held[-1], held, around.radius, left=0.0))


def absorbed_fraction(around: Radial, radius: float) -> float:
    """Share of its energy that stays in a sphere with a source spread evenly in it.

    The share of a sphere of radius R that it has in common with itself moved by r is
    1 - 3 r / (4 R) + r^3 / (16 R^3), up to r = 2 R. `radius` is in the unit of the radii.

    >>> print(round(absorbed_fraction(Radial(np.array([1.0]), np.array([1.0])), 1.0), 4))
    0.3125
    """
    part = np.minimum(around.radius / radius, 2.0)
    overlap = 1 - 3 * part / 4 + part**3 / 16
    return float(np.sum(overlap * around.energy) / np.sum(around.energy))


@njit(cache=True, nogil=True)
def _spread(radius: np.ndarray, energy: np.ndarray, sides: np.ndarray, octant: np.ndarray) -> None:
    """Add the energy of shells to the voxels of an octant.

    Directions are taken in all six orders of their axes, so that axes of equal sides are alike, and
    are moved on from shell to shell, so that no direction is preferred.
    """
    smallest = sides.min()
    unit, place, part = np.empty(3), np.empty(3, np.int64), np.empty(3)
    for shell in range(radius.size):
        along = DIRECTIONS + int(MORE * radius[shell] / smallest)
        each = energy[shell] / (along * along * 6)
        first, second = (shell * GOLDEN) % 1.0, (shell * GOLDEN * GOLDEN) % 1.0
        for row in range(along):
            high = (row + first) / along
            flat = np.sqrt(max(1 - high * high, 0.0))
            for column in range(along):
                angle = (column + second) / along * np.pi / 2
                unit[0], unit[1], unit[2] = flat * np.cos(angle), flat * np.sin(angle), high
                for order in range(6):
                    for axis in range(3):
                        where = radius[shell] * unit[SHUFFLED[order, axis]] / sides[axis]
                        place[axis] = int(where)
                        part[axis] = where - place[axis]
                    _share(octant, place, part, each)


@njit(cache=True, nogil=True)
def _share(octant: np.ndarray, place: np.ndarray, part: np.ndarray, energy: float) -> None:
    """Share energy at a fractional place among its eight voxels."""
    for i in range(2):
        one = energy * (part[0] if i else 1 - part[0])
        for j in range(2):
            two = one * (part[1] if j else 1 - part[1])
            for k in range(2):
                share = two * (part[2] if k else 1 - part[2])
                octant[place[0] + i, place[1] + j, place[2] + k] += share
