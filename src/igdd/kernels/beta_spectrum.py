"""Beta spectra: how often a beta branch sends out which kinetic energy [MeV].

In units of the electron's mass, with W = 1 + T/m, p its momentum, W0 the end point and Z the charge
of the nucleus that is left (negative for positrons),

    N(W) ~ F(Z, W) p W (W0 - W)^2 C(W)
    F ~ p^(2g - 2) exp(pi e) |Gamma(g + i e)|^2,   g = sqrt(1 - (a Z)^2),   e = a Z W / p

where a is the fine-structure constant; C = 1 for allowed branches and L p^2 + (W0 - W)^2 for those
that are first forbidden and unique, with L the ratio of the Coulomb functions of the next and of
the lowest order at the nuclear surface. Screening is left out. Source: H. Behrens and W. Buehring,
Electron Radial Wave Functions and Nuclear Beta-Decay (1982), chapters 4 and 14.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from igdd.errors import InputError

ELECTRON_MASS = 0.51099895
FINE_STRUCTURE = 7.2973525693e-3
# Radius of a nucleus of one nucleon, 1.2 fm, in reduced Compton wavelengths of the electron.
SURFACE = 1.2 / 386.159
# Points of a spectrum: the mean energy is then the same to 1e-5 with four times as many.
POINTS = 400
# End point over mean energy of any spectrum of these shapes lies between.
NARROW, WIDE = 1.5, 6.0


def spectrum(
    end_point: float, charge: int, unique: bool = False, points: int = POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (n,) in MeV at the middles of n equal steps, and the share (n,) of betas in each.

    charge  of the nucleus that is left; negative for positrons

    >>> energy, share = spectrum(1.7107, 16)  # P-32
    >>> print(round(float(energy @ share), 3))
    0.695
    """
    energy = (np.arange(points) + 0.5) * end_point / points
    W = 1 + energy / ELECTRON_MASS
    p = np.sqrt(W**2 - 1)
    left = (end_point - energy) / ELECTRON_MASS
    coupling = FINE_STRUCTURE * charge
    gamma = np.sqrt(1 - coupling**2)
    eta = coupling * W / p
    # |Gamma|^2 exp(pi eta) in logarithms: either may leave the range of numbers by itself.
    strength = 2 * special.loggamma(gamma + 1j * eta).real + np.pi * eta
    fermi = p ** (2 * gamma - 2) * np.exp(strength)
    shape = _next_order(abs(charge), p, eta) * p**2 + left**2 if unique else 1.0
    number = fermi * p * W * left**2 * shape
    return energy, number / number.sum()


def _next_order(charge: int, p: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Ratio of the Coulomb functions of orders 2 and 1 at the nuclear surface; 1 without charge."""
    first, second = (np.sqrt(k**2 - (FINE_STRUCTURE * charge) ** 2) for k in (1, 2))
    weights = 12 * special.gamma(2 * first + 1) / special.gamma(2 * second + 1)
    radius = SURFACE * (2.4 * charge) ** (1 / 3)  # a nucleus holds some 2.4 nucleons per charge
    barrier = (2 * p * radius) ** (2 * (second - first - 1))
    strength = special.loggamma(second + 1j * eta).real - special.loggamma(first + 1j * eta).real
    return np.asarray(weights**2 * barrier * np.exp(2 * strength))


@lru_cache(maxsize=4096)
def end_point_of(mean: float, charge: int, unique: bool = False) -> float:
    """End point in MeV of the spectrum whose mean energy is the one given, by bisection.

    >>> print(round(end_point_of(0.932991, 40, unique=True), 2))  # Y-90: 2.28
    2.28
    """
    if not 0 < mean < 20:
        raise InputError(f"a beta branch of mean energy {mean} MeV; expected one of a nucleus")
    low, high = NARROW * mean, WIDE * mean
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        energy, share = spectrum(middle, charge, unique)
        low, high = (middle, high) if energy @ share < mean else (low, middle)
    return (low + high) / 2
