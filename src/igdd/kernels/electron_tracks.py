"""Tracks of electrons in water, and how far from where they start they leave their energy.

Mixed simulation. Collisions that lose more than HARD are met one by one, and what they knock out
has a track of its own; all others slow the electron down continuously along condensed pieces of its
track. A piece is short against the path that is left (TENTH) and against the transport path (TURN);
it turns once, at a random place (random hinge: J. M. Fernandez-Varea and others, Nucl. Instrum.
Methods B 73 (1993) 447), by an angle whose first two Legendre moments are exactly those of the
piece. Its energy loss, that to bremsstrahlung included, is left at a random point of it. Random
numbers come from a counter (splitmix64) and so are the same everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit
from igdd.kernels.stopping import ELECTRON_MASS, HIGHEST, water

# Kinetic energy in MeV at which an electron is taken to be at rest: 0.0025 mm from it in water.
REST = 0.010
# Loss of energy in MeV from which a collision is met by itself.
HARD = 0.010
TENTH = 0.1
TURN = 0.2
KNOTS = 2000
BINS = 500
# Electrons of one cascade that wait for their turn; each carries less than half of its parent.
WAITING = 128
# Largest ratio of Moller's cross-section to Rutherford's.
LARGEST = 2.25
GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


class Radial(NamedTuple):
    """Energy in MeV (n,) left in spherical shells around a point source, by rising radius.

    radius  (n,) mean distance in g/cm2 at which a shell's energy was left; 0 for what does not
            leave the source
    """

    radius: np.ndarray
    energy: np.ndarray


class Knots(NamedTuple):
    """What tracks look up, at equal steps of ln(path in g/cm2): energy, turning and hits (k, 4)."""

    first: float
    step: float
    table: np.ndarray


def radial(energy: np.ndarray, weight: np.ndarray, seed: int) -> Radial:
    """Where electrons of `energy` [MeV] (n,), `weight` of each, leave theirs around a point.

    What is left equals the sum of weight times energy to rounding: nothing is lost.

    >>> found = radial(np.full(2000, 1.0), np.full(2000, 1 / 2000), seed=1)
    >>> print(round(float(found.energy.sum()), 9))
    1.0
    """
    energy = np.ascontiguousarray(energy, dtype=float)
    weight = np.ascontiguousarray(weight, dtype=float)
    if energy.size and not (energy.min() > 0 and energy.max() <= HIGHEST):
        raise InputError(
            f"an electron has {energy.min():.3g} or {energy.max():.3g} MeV; expected above 0 and "
            f"at most {HIGHEST:g} MeV, of which the stopping power is known here"
        )
    farthest = _path_of(knots(), float(energy.max(initial=REST))) * (1 + 1e-9)
    sums = np.zeros((2, BINS))
    still = _follow((energy, weight), np.uint64(seed), knots(), farthest, sums)
    filled = sums[0] > 0
    return Radial(
        radius=np.concatenate([[0.0], sums[1][filled] / sums[0][filled]]),
        energy=np.concatenate([[still], sums[0][filled]]),
    )


@lru_cache(maxsize=1)
def knots() -> Knots:
    """The table of electrons in water, at equal steps of the logarithm of their path."""
    known = water(HARD)
    path = np.log(known.path[1:])
    place = np.linspace(path[0], path[-1], KNOTS)
    energy = np.exp(np.interp(place, path, np.log(known.energy[1:])))
    others = [np.interp(place, path, row[1:]) for row in (*known.turn, known.hits)]
    table = np.ascontiguousarray(np.array([energy, *others]).T)
    return Knots(float(place[0]), float(place[1] - place[0]), table)


@njit(cache=True, nogil=True)
def _random(state: np.ndarray) -> float:
    """The next number of a stream in [0, 1)."""
    state[0] += GAMMA
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True)
def _at(known: Knots, path: float) -> tuple[float, float, float, float]:
    """Energy, both integrals of turning and the number of hits, by the path that is left."""
    place = (np.log(path) - known.first) / known.step
    low = min(max(int(place), 0), known.table.shape[0] - 2)
    part = place - low
    under, over = known.table[low], known.table[low + 1]
    return (
        under[0] + part * (over[0] - under[0]),
        under[1] + part * (over[1] - under[1]),
        under[2] + part * (over[2] - under[2]),
        under[3] + part * (over[3] - under[3]),
    )


@njit(cache=True, nogil=True)
def _path_of(known: Knots, energy: float) -> float:
    """Path in g/cm2 of an electron of some energy that meets no hard collision."""
    low, high = 0, known.table.shape[0] - 1
    while high - low > 1:
        middle = (low + high) // 2
        if known.table[middle, 0] <= energy:
            low = middle
        else:
            high = middle
    under, over = known.table[low, 0], known.table[high, 0]
    part = (energy - under) / (over - under)
    return float(np.exp(known.first + known.step * (low + part)))


@njit(cache=True, nogil=True)
def _cosine(one: float, two: float, state: np.ndarray) -> float:
    """Cosine of an angle whose mean P1 is exp(-one) and whose mean P2 is exp(-two).

    u = (1 - cos) / 2 is uniform below and, with another weight, above a border, so that its first
    two moments are right.
    """
    first = -np.expm1(-one) / 2
    second = first + np.expm1(-two) / 6
    if 1 - 2 * first < 1e-9:  # nothing is left of the old direction
        return float(1 - 2 * _random(state))
    border = min(max((2 * first - 3 * second) / (1 - 2 * first), 0.0), 1.0)
    below = 1 - 2 * first + border
    if _random(state) < below:
        return float(1 - 2 * border * _random(state))
    return float(1 - 2 * (border + (1 - border) * _random(state)))


@njit(cache=True, nogil=True)
def _turn(way: np.ndarray, cosine: float, around: float) -> None:
    """Turn a direction (3,) by an angle, around itself by another."""
    sine = np.sqrt(max(1 - cosine * cosine, 0.0))
    a, b = sine * np.cos(around), sine * np.sin(around)
    x, y, z = way[0], way[1], way[2]
    across = np.sqrt(x * x + y * y)
    if across < 1e-9:
        way[0], way[1], way[2] = a, b, cosine if z > 0 else -cosine
    else:
        way[0] = x * cosine + (a * x * z - b * y) / across
        way[1] = y * cosine + (a * y * z + b * x) / across
        way[2] = z * cosine - a * across
    way /= np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)


@njit(cache=True, nogil=True)
def _loss(energy: float, state: np.ndarray) -> float:
    """Energy lost in a hard collision, by Moller's cross-section."""
    tau = energy / ELECTRON_MASS
    flat, cross = (tau / (tau + 1)) ** 2, (2 * tau + 1) / (tau + 1) ** 2
    while True:
        lost = HARD / (1 - _random(state) * (1 - 2 * HARD / energy))
        part = lost / (energy - lost)
        ratio = 1 + part**2 + flat * (lost / energy) ** 2 - cross * part
        if _random(state) * LARGEST <= ratio:
            return float(lost)


@njit(cache=True, nogil=True)
def _go(
    track: np.ndarray, known: Knots, scale: tuple[float, float], state: np.ndarray, sums: np.ndarray
) -> float:
    """Follow an electron (place, direction, energy) up to its next hit; the energy lost in that.

    scale  weight of the electron, and the farthest that any can come
    """
    place, way = track[:3], track[3:6]
    weight, farthest = scale
    path = _path_of(known, track[6])
    rest_path = _path_of(known, REST)
    now = _at(known, path)
    left = -np.log(1 - _random(state))
    while path > rest_path:
        length = TENTH * path
        later = _at(known, path - length)
        # Turning and hits of a piece this short are in proportion to its length.
        part = min(1.0, TURN / (now[1] - later[1]))
        hit = part * (now[3] - later[3]) >= left
        if hit:
            part = left / (now[3] - later[3])
        if part < 1:
            length *= part
            later = _at(known, path - length)
        left -= now[3] - later[3]
        hinge, at = length * _random(state), length * _random(state)
        spot = place + way * min(at, hinge)
        place += way * hinge
        cosine = _cosine(now[1] - later[1], now[2] - later[2], state)
        _turn(way, cosine, 2 * np.pi * _random(state))
        if at > hinge:
            spot = place + way * (at - hinge)
        place += way * (length - hinge)
        _leave(spot, (track[6] - later[0]) * weight, farthest, sums)
        path, now, track[6] = path - length, later, later[0]
        if hit and track[6] > 2 * HARD:
            return float(_loss(track[6], state))
        if hit:  # at the end of its table's first step: no collision is hard any more
            left = np.inf
    _leave(place, track[6] * weight, farthest, sums)
    track[6] = 0.0
    return 0.0


@njit(cache=True, nogil=True)
def _knock(track: np.ndarray, lost: float, other: np.ndarray, state: np.ndarray) -> None:
    """Share the energy of a hit: `other` (place, direction, energy) is the electron knocked out.

    The faster keeps its direction: what it turns by is in the transport path.
    """
    energy = track[6]
    other[:6] = track[:6]
    other[6], track[6] = lost, energy - lost
    masses = 2 * ELECTRON_MASS
    cosine = np.sqrt(lost * (energy + masses) / (energy * (lost + masses)))
    _turn(other[3:6], cosine, 2 * np.pi * _random(state))


@njit(cache=True, nogil=True)
def _follow(
    electrons: tuple[np.ndarray, np.ndarray],
    seed: np.uint64,
    known: Knots,
    farthest: float,
    sums: np.ndarray,
) -> float:
    """Add the energy left, and energy times distance, to shells; the energy that stays at 0.

    electrons  their energies and weights
    """
    energy, weight = electrons
    state = np.empty(1, np.uint64)
    tracks = np.zeros((WAITING, 7))
    still = 0.0
    for history in range(energy.size):
        if energy[history] <= REST:
            still += weight[history] * energy[history]
            continue
        state[0] = (seed * SECOND) ^ (np.uint64(history) * GAMMA)
        tracks[0, :] = 0.0
        tracks[0, 5] = 1.0
        tracks[0, 6] = energy[history]
        waiting = 1
        while waiting:
            lost = _go(tracks[waiting - 1], known, (weight[history], farthest), state, sums)
            if lost == 0.0:
                waiting -= 1
            elif waiting < WAITING:
                _knock(tracks[waiting - 1], lost, tracks[waiting], state)
                waiting += 1
            else:
                _leave(tracks[waiting - 1, :3], lost * weight[history], farthest, sums)
                tracks[waiting - 1, 6] -= lost
    return still


@njit(cache=True, nogil=True)
def _leave(place: np.ndarray, energy: float, farthest: float, sums: np.ndarray) -> None:
    distance = np.sqrt(place[0] ** 2 + place[1] ** 2 + place[2] ** 2)
    shells = sums.shape[1]
    # Shells are thin near the source: their borders go with the square of their number.
    shell = min(int(shells * np.sqrt(distance / farthest)), shells - 1)
    sums[0, shell] += energy
    sums[1, shell] += energy * distance
