"""Photons in water, and how far from where they start they leave their energy.

Compton scattering by free electrons (O. Klein and Y. Nishina, Z. Phys. 52 (1929) 853) and the
photoelectric effect (W. T. Elam, B. D. Ravel and J. R. Sieber, Radiat. Phys. Chem. 63 (2002) 121,
public domain). Energy given to electrons is left on the spot; coherent scattering and, above 1 MeV,
the making of pairs are left out (1 to 2 % of what is absorbed). What photons that have not
collided leave is computed; the rest is followed collision by collision, with what is absorbed taken
from the photon's weight. Lengths are g/cm2, energies MeV. Below 5 keV energy stays where it is.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit
from igdd.kernels.electron_tracks import FIRST, GAMMA, SECOND, Radial, _random, _turn
from igdd.kernels.stopping import (
    AVOGADRO,
    ELECTRON_MASS,
    ELECTRON_RADIUS,
    ELECTRONS,
    WATER_MASS,
)

# Photoelectric cross-section of water in cm2/g by energy in MeV.
PHOTOELECTRIC = np.array([
    (0.001, 4076.0), (0.0015, 1374.0), (0.002, 616.1), (0.003, 191.9), (0.004, 81.97),
    (0.005, 41.92), (0.006, 24.07), (0.008, 9.919), (0.010, 4.944), (0.015, 1.369), (0.020, 0.5439),
    (0.030, 0.1458), (0.040, 0.05679), (0.050, 0.02725), (0.060, 0.01493), (0.080, 5.770e-3),
    (0.100, 2.762e-3), (0.150, 7.308e-4), (0.200, 2.888e-4), (0.300, 8.159e-5), (0.500, 1.884e-5),
])  # fmt: skip
LOWEST, HIGHEST = 0.005, 10.0
POINTS = 600
BINS = 500
# Weight at which a photon is given up nine times of ten, and else counts tenfold.
FAINT = 1e-2


def cross_sections(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compton, photoelectric, and Compton's transfer of energy, in cm2/g of water.

    >>> [round(float(part[0]), 4) for part in cross_sections(np.array([0.1]))]
    [0.1647, 0.0028, 0.0227]
    """
    energy = np.asarray(energy, dtype=float)
    k = energy[..., None] / ELECTRON_MASS
    nodes, weights = np.polynomial.legendre.leggauss(64)
    kept = 1 / (1 + k * (1 - nodes))
    area = np.pi * ELECTRON_RADIUS**2 * kept**2 * (kept + 1 / kept - 1 + nodes**2) * weights
    per_gram = AVOGADRO * ELECTRONS / WATER_MASS
    compton, transfer = (np.sum(area * part, axis=-1) * per_gram for part in (1.0, 1 - kept))
    known = np.log(PHOTOELECTRIC)
    slope = (known[-1, 1] - known[-2, 1]) / (known[-1, 0] - known[-2, 0])
    beyond = np.maximum(np.log(energy) - known[-1, 0], 0.0) * slope
    photo = np.exp(np.interp(np.log(energy), known[:, 0], known[:, 1]) + beyond)
    return compton, photo, transfer


def radial_photons(
    energy: np.ndarray, number: np.ndarray, farthest: float, histories: int, seed: int
) -> Radial:
    """Energy in MeV that photons of `energy` (n,), `number` of each, leave around a point.

    farthest  g/cm2 from it; what is left beyond is not in the answer
    """
    energy, number = np.asarray(energy, dtype=float), np.asarray(number, dtype=float)
    if energy.size and not (energy.min() > 0 and energy.max() <= HIGHEST):
        raise InputError(
            f"a photon has {energy.min():.3g} or {energy.max():.3g} MeV; expected above 0 and at "
            f"most {HIGHEST:g} MeV, of which the cross-sections are known here"
        )
    if not 0 < farthest < 1e4:
        raise InputError(f"photons up to {farthest:g} g/cm2 away; expected a distance above 0")
    border = farthest * (np.arange(BINS + 1) / BINS) ** 2
    sums = np.zeros(BINS)
    moves = energy > LOWEST
    still = float(np.sum((energy * number)[~moves]))
    for one, times in zip(energy[moves], number[moves], strict=True):
        compton, photo, transfer = (float(part) for part in cross_sections(one))
        total = compton + photo
        first = np.exp(-total * border[:-1]) - np.exp(-total * border[1:])
        sums += times * (photo * one + transfer * one) / total * first
    share = energy[moves] * number[moves] / max(np.sum(energy[moves] * number[moves]), 1e-300)
    counts = np.maximum(np.round(share * histories), 20).astype(np.int64)
    place = np.geomspace(LOWEST, HIGHEST, POINTS)
    table = np.ascontiguousarray(np.array(cross_sections(place)[:2]))
    weights = number[moves] / counts
    _scattered((energy[moves], weights, counts), np.uint64(seed), table, farthest, sums)
    middle = (border[:-1] + border[1:]) / 2
    return Radial(radius=np.concatenate([[0.0], middle]), energy=np.concatenate([[still], sums]))


@njit(cache=True, nogil=True)
def _rates(table: np.ndarray, energy: float) -> tuple[float, float]:
    """Compton and photoelectric cross-section of an energy."""
    place = np.log(energy / LOWEST) / np.log(HIGHEST / LOWEST) * (table.shape[1] - 1)
    low = min(max(int(place), 0), table.shape[1] - 2)
    part = place - low
    return (
        table[0, low] + part * (table[0, low + 1] - table[0, low]),
        table[1, low] + part * (table[1, low + 1] - table[1, low]),
    )


@njit(cache=True, nogil=True)
def _compton(energy: float, state: np.ndarray) -> tuple[float, float]:
    """Share of its energy that a scattered photon keeps, and the cosine of its angle.

    Composition and rejection: J. C. Butcher and H. Messel, Nucl. Phys. 20 (1960) 15.
    """
    k = energy / ELECTRON_MASS
    least = 1 / (1 + 2 * k)
    one, two = -np.log(least), (1 - least * least) / 2
    while True:
        if _random(state) * (one + two) < one:
            kept = least ** _random(state)
        else:
            kept = np.sqrt(least * least + (1 - least * least) * _random(state))
        away = (1 - kept) / (k * kept)  # 1 - cosine
        if _random(state) <= 1 - kept * away * (2 - away) / (1 + kept * kept):
            return kept, 1 - away


@njit(cache=True, nogil=True)
def _scattered(
    lines: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: np.uint64,
    table: np.ndarray,
    farthest: float,
    sums: np.ndarray,
) -> None:
    """Add to shells what photons leave at their second and later collisions.

    lines  energies, weight of each photon of a line, and how many there are
    """
    energies, weights, counts = lines
    state = np.empty(1, np.uint64)
    place, way = np.empty(3), np.empty(3)
    number = np.uint64(0)
    for line in range(energies.size):
        for _ in range(counts[line]):
            number += np.uint64(1)
            state[0] = (seed * FIRST) ^ (number * GAMMA) ^ SECOND
            place[:] = 0.0
            way[0], way[1], way[2] = 0.0, 0.0, 1.0
            energy, weight, collisions = energies[line], weights[line], 0
            while weight > 0.0:
                compton, photo = _rates(table, energy)
                total = compton + photo
                place -= way * (np.log(1 - _random(state)) / total)
                distance = np.sqrt(place[0] ** 2 + place[1] ** 2 + place[2] ** 2)
                if distance > farthest * 4:  # hardly any comes back from so far
                    break
                kept, cosine = _compton(energy, state)
                left = (photo * energy + compton * energy * (1 - kept)) / total * weight
                weight *= compton / total
                energy *= kept
                if energy < LOWEST:
                    left, weight = left + weight * energy, 0.0
                if collisions and distance < farthest:
                    sums[int(sums.size * np.sqrt(distance / farthest))] += left
                collisions += 1
                _turn(way, cosine, 2 * np.pi * _random(state))
                if weight < FAINT * weights[line]:
                    weight = weight * 10 if _random(state) < 0.1 else 0.0
