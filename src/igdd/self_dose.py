"""Self-dose: how much of its own radiation a mass of tissue keeps, as a sphere of water.

`self_dose.csv` holds shares of energy that a sphere with an even source keeps to itself, in an
endless volume of the same medium: for photons by energy and radius in g/cm2, for electrons by
energy and radius over their range. They are this project's own (`benchmarks/absorbed_fractions.py`
makes them: followed photons and electrons). An alpha particle or a recoil loses its energy evenly
along a straight track of 2.91 E^1.55 um in water, E in MeV, which follows the ranges of alphas from
4 to 9 MeV to 2 %.

Organs are no spheres: for photons the shape of an organ costs some per cent of a share that is
itself small beside that of the electrons, and what other organs send is not in it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from igdd.decay import ELEMENTS
from igdd.emissions import JOULE_PER_MEV, Emissions
from igdd.errors import InputError

# Range of alphas in water, g/cm2 of MeV.
ALPHA_RANGE, ALPHA_POWER = 2.91e-4, 1.552
BETA_STEPS = 60


@dataclass(frozen=True, kw_only=True)
class SelfDose:
    """Energy that a sphere keeps of what its decays send out, in MeV per decay.

    charged, photon  kept; mass in g, density in g/mL
    local            charged energy sent out, kept or not
    """

    charged: float
    photon: float
    local: float
    mass: float
    density: float

    @property
    def s_charged(self) -> float:
        """Gy/(Bq s) by alphas, betas and electrons."""
        return self.charged * JOULE_PER_MEV / (self.mass * 1e-3)

    @property
    def s_photon(self) -> float:
        """Gy/(Bq s) by photons."""
        return self.photon * JOULE_PER_MEV / (self.mass * 1e-3)

    @property
    def s_local(self) -> float:
        """Gy/(Bq s) if all charged energy stayed in the mass (local deposition)."""
        return self.local * JOULE_PER_MEV / (self.mass * 1e-3)


def self_dose(source: Emissions, mass: float, density: float = 1.0) -> SelfDose:
    """Energy per decay that a sphere of `mass` [g] and `density` [g/mL] keeps of its own decays.

    >>> from igdd.emissions import emissions
    >>> found = self_dose(emissions("Lu-177"), mass=14.6)
    >>> print(f"{found.s_charged + found.s_photon:.3g} Gy/(Bq s)")
    1.62e-12 Gy/(Bq s)
    """
    if not 1e-6 <= mass <= 1e6:
        raise InputError(f"a mass of {mass:g} g; expected one between a microgram and a tonne")
    if not 0.05 <= density <= 25:
        raise InputError(f"a density of {density:g} g/mL; expected that of a tissue, such as 1.04")
    radius = float(np.cbrt(3 * mass / (4 * np.pi * density)) * density)
    kept = {
        kind: float(np.sum(energy * number * fraction))
        for kind, energy, number, fraction in _kept(source, radius)
    }
    photon = kept.pop("photon", 0.0)
    return SelfDose(
        charged=sum(kept.values()), photon=photon, local=source.charged, mass=mass, density=density
    )


def _kept(source: Emissions, radius: float) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Kind, energies, numbers per decay and shares kept, of each kind of emission."""
    found = []
    for kind in dict.fromkeys(source.kind.tolist()):
        chosen = source.kind == kind
        energy, number = source.energy[chosen], source.per_decay[chosen]
        if kind in ("alpha", "recoil"):
            fraction = _track_fraction(energy, radius)
        elif kind == "photon":
            fraction = fraction_kept("photon", energy, np.full(energy.shape, radius))
        elif kind == "electron":
            fraction = electron_fraction(energy, radius)
        else:
            names = source.source[chosen]
            fraction = np.array(
                [
                    _beta_fraction(round(float(mean), 9), _charge_after(str(name), kind), radius)
                    for mean, name in zip(energy, names, strict=True)
                ]
            )
        found.append((kind, energy, number, fraction))
    return found


def _charge_after(name: str, kind: str) -> int:
    """Charge of the nucleus that is left, negative after a positron, as its spectrum asks."""
    charge = list(ELEMENTS).index(name.split("-")[0]) + 1
    return charge + 1 if kind == "beta-" else -(charge - 1)


@lru_cache(maxsize=16384)
def _beta_fraction(mean: float, charge: int, radius: float) -> float:
    """Share that a sphere keeps of a beta branch, over its spectrum."""
    energy, carried = _carried(mean, charge)
    return float(np.sum(carried * electron_fraction(energy, radius)) / np.sum(carried))


@lru_cache(maxsize=4096)
def _carried(mean: float, charge: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies of a beta spectrum and the energy that is carried at each."""
    from igdd.kernels.beta_spectrum import end_point_of, spectrum

    energy, share = spectrum(end_point_of(mean, charge), charge, points=BETA_STEPS)
    return energy, energy * share


def electron_fraction(energy: np.ndarray, radius: float) -> np.ndarray:
    """Share of the energy of electrons of `energy` [MeV] kept by a sphere of `radius` [g/cm2]."""
    from igdd.kernels.stopping import range_of

    energy = np.asarray(energy, dtype=float)
    # Where the table of ranges begins: what has less energy goes less than 0.2 um.
    seen = np.maximum(energy, 2e-3)
    return fraction_kept("electron", energy, radius / range_of(seen))


def _track_fraction(energy: np.ndarray, radius: float) -> np.ndarray:
    """Share kept of tracks that are straight and lose energy evenly.

    The mean of 1 - 3 r / 4 + r^3 / 16 over r from 0 to the range, r in radii, up to 2 radii.
    """
    length = np.maximum(ALPHA_RANGE * np.asarray(energy) ** ALPHA_POWER / radius, 1e-12)
    part = np.minimum(length, 2.0)
    return np.asarray((part - 3 * part**2 / 8 + part**4 / 64) / length)


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """ln energies, ln radii and ln odds of the share kept (energy, radius), by kind."""
    text = files("igdd").joinpath("self_dose.csv").read_text("utf-8")
    rows: dict[str, dict[tuple[float, float], float]] = {}
    for row in csv.DictReader(text.splitlines()):
        place = float(row["energy_MeV"]), float(row["radius"])
        rows.setdefault(row["kind"], {})[place] = float(row["fraction"])
    found = {}
    for kind, shares in rows.items():
        energies = np.array(sorted({energy for energy, _ in shares}))
        radii = np.array(sorted({radius for _, radius in shares}))
        share = np.array([[shares[energy, radius] for radius in radii] for energy in energies])
        odds = np.log(share / np.maximum(1 - share, 1e-9))
        found[kind] = (np.log(energies), np.log(radii), odds)
    return found


def fraction_kept(kind: str, energy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Share of `self_dose.csv` at energies [MeV] and radii, straight in the logarithm of its odds.

    The odds grow with the radius when it is small and leave out a share as its inverse when it is
    large, so that the ends of the table carry on by themselves.
    """
    energies, radii, odds = _table()[kind]
    x = np.clip(np.log(energy), energies[0], energies[-1])
    y = np.log(radius)
    i = np.clip(np.searchsorted(energies, x) - 1, 0, energies.size - 2)
    j = np.clip(np.searchsorted(radii, y) - 1, 0, radii.size - 2)
    u = (x - energies[i]) / (energies[i + 1] - energies[i])
    v = (y - radii[j]) / (radii[j + 1] - radii[j])
    here = (1 - v) * odds[i, j] + v * odds[i, j + 1]
    there = (1 - v) * odds[i + 1, j] + v * odds[i + 1, j + 1]
    return np.asarray(1 / (1 + np.exp(-np.clip((1 - u) * here + u * there, -700, 700))))
