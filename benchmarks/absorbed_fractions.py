"""Make `src/igdd/self_dose.csv`: shares of energy that spheres of water keep to themselves.

Photons are followed in an endless volume of water, from a point: photoelectric absorption and
Compton scattering (Klein and Nishina, free electrons at rest); the electrons' energy stays where
they are set free, coherent scattering and pairs are left out. Mass energy-absorption coefficients
of water are those of J. H. Hubbell and S. M. Seltzer, NISTIR 5632 (1995); what Compton scattering
does not explain of them is photoelectric. Electrons are those of `igdd.kernels.electron_tracks`.
Spheres follow from the distances at which energy is left, by the share that a sphere has in common
with itself moved by such a distance.

    python benchmarks/absorbed_fractions.py > src/igdd/self_dose.csv
"""

from __future__ import annotations

import sys

import numpy as np
from numba import njit

from igdd.kernels.electron_tracks import radial
from igdd.kernels.stopping import range_of
from igdd.kernels.voxel_kernel import absorbed_fraction

# MeV and cm2/g.
ABSORPTION = np.array([
    (0.001, 4065.0), (0.0015, 1372.0), (0.002, 615.2), (0.003, 191.7), (0.004, 81.91),
    (0.005, 41.88), (0.006, 24.05), (0.008, 9.915), (0.01, 4.944), (0.015, 1.374), (0.02, 0.5503),
    (0.03, 0.1557), (0.04, 0.06947), (0.05, 0.04223), (0.06, 0.03190), (0.08, 0.02597),
    (0.1, 0.02546), (0.15, 0.02764),
])  # fmt: skip
ELECTRON_MASS = 0.51099895
# Electrons of a gram of water times the classical cross section 2 pi r_e^2, cm2/g.
STRENGTH = 3.3428e23 * 2 * np.pi * 7.940787e-26
PHOTONS = (
    0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06,
    0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0,
)  # fmt: skip
RADII = np.geomspace(0.05, 25.6, 19)  # g/cm2
ELECTRONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
PARTS = np.geomspace(0.05, 25.6, 19)  # of the electrons' range
HISTORIES = 400_000
LOWEST = 0.001


def compton(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compton attenuation and energy transfer of water in cm2/g, by integration over angles."""
    cosine, weight = np.polynomial.legendre.leggauss(64)
    k = energy[:, None] / ELECTRON_MASS
    left = 1 / (1 + k * (1 - cosine))
    shape = left**2 * (left + 1 / left - 1 + cosine**2) / 2 * STRENGTH
    return shape @ weight, (shape * (1 - left)) @ weight


def photoelectric() -> tuple[np.ndarray, np.ndarray]:
    """ln of energies and of the photoelectric attenuation, on which it is close to straight."""
    energy, absorbed = ABSORPTION.T
    own = absorbed - compton(energy)[1]
    known = energy <= 0.06
    slope = np.log(own[known][-1] / own[known][-3]) / np.log(energy[known][-1] / energy[known][-3])
    high = np.array([0.1, 0.3, 1.0, 3.0])
    beyond = own[known][-1] * (high / energy[known][-1]) ** slope
    return np.log(np.append(energy[known], high)), np.log(np.append(own[known], beyond))


@njit
def follow(source, histories, grid, total, share, radii, seed):
    """Mean share of the energy of photons left in spheres of each radius."""
    np.random.seed(seed)
    found = np.zeros(radii.size)
    for _ in range(histories):
        energy = source
        x, y, z = 0.0, 0.0, 0.0
        u, v, w = 0.0, 0.0, 1.0
        while True:
            place = np.log(energy)
            length = -np.log(1 - np.random.random()) / np.exp(np.interp(place, grid, total))
            x, y, z = x + u * length, y + v * length, z + w * length
            absorbed = np.random.random() < np.interp(place, grid, share)
            k = energy / 0.51099895
            cosine, left = 1.0, 1.0
            if not absorbed:
                while True:
                    cosine = 2 * np.random.random() - 1
                    left = 1 / (1 + k * (1 - cosine))
                    shape = left**2 * (left + 1 / left - 1 + cosine**2) / 2
                    if np.random.random() < shape:
                        break
            gone = energy if absorbed or energy * left < 0.001 else energy * (1 - left)
            away = np.sqrt(x * x + y * y + z * z)
            for i in range(radii.size):
                part = away / radii[i]
                if part < 2:
                    found[i] += gone * (1 - 0.75 * part + part**3 / 16)
            energy -= gone
            if energy <= 0 or away > 4 * radii[-1]:
                break
            sine = np.sqrt(max(1 - cosine * cosine, 0.0))
            turn = 2 * np.pi * np.random.random()
            across = np.sqrt(max(1 - w * w, 1e-20))
            if across > 1e-5:
                u, v, w = (
                    u * cosine + sine * (u * w * np.cos(turn) - v * np.sin(turn)) / across,
                    v * cosine + sine * (v * w * np.cos(turn) + u * np.sin(turn)) / across,
                    w * cosine - sine * across * np.cos(turn),
                )
            else:
                u, v, w = sine * np.cos(turn), sine * np.sin(turn), cosine * np.sign(w)
    return found / (histories * source)


def main() -> None:
    """Write the table."""
    grid = np.linspace(np.log(LOWEST), np.log(3.0), 400)
    scattered, _ = compton(np.exp(grid))
    taken = np.exp(np.interp(grid, *photoelectric()))
    write = sys.stdout.write
    write("kind,energy_MeV,radius,fraction\n")
    for energy in PHOTONS:
        shares = follow(
            energy,
            HISTORIES,
            grid,
            np.log(scattered + taken),
            taken / (scattered + taken),
            RADII,
            7,
        )
        for radius, share in zip(RADII, shares, strict=True):
            write(f"photon,{energy:g},{radius:.5g},{share:.4g}\n")
    for energy in ELECTRONS:
        around = radial(np.full(20_000, energy), np.full(20_000, 1 / 20_000), 7)
        reach = float(range_of(np.array([energy]))[0])
        for part in PARTS:
            write(f"electron,{energy:g},{part:.5g},{absorbed_fraction(around, part * reach):.5g}\n")


if __name__ == "__main__":
    main()
