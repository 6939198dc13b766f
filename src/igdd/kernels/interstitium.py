"""Fluid in a spherical tumour: interstitial pressure, and the velocity it drives outwards.

Darcy's law and Starling's law in a sphere of radius R with vessels throughout:

    -(1/r^2) d/dr (r^2 u) + Lp S/V (pv - sT (piv - pi) - p) - L (p - pL) = 0,   u = -K dp/dr

Where all is uniform and the pressure at the surface is ps, with F = Lp S/V, a = R sqrt((F + L) / K)
and the pressure p0 = (F (pv - sT (piv - pi)) + L pL) / (F + L) at which no fluid crosses,

    p(r) = p0 - (p0 - ps) R sinh(a r / R) / (r sinh a)

Baxter and Jain, Microvasc Res 1989;37:77, doi:10.1016/0026-2862(89)90074-5. Substituting
p = p0 + f(r) / r turns the equation into f'' = (a / R)^2 f, with f(0) = 0 for a finite centre.
Units are the caller's, one of each kind; here mm, s and Pa.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_banded

from igdd.errors import InputError

LARGEST_A = 1e4  # beyond it the whole gradient lies within R / 10,000 of the surface


# Least and largest of each [mm, s, Pa]: far beyond any tissue, and well within rounding.
LIMITS = {
    "radius": (1e-4, 1e4), "conductivity": (1e-20, 1e6), "filtration": (1e-20, 1e6),
    "effective": (-1e7, 1e7), "drainage": (0.0, 1e6), "lymphatic": (-1e7, 1e7),
    "surface": (-1e7, 1e7),
}  # fmt: skip


class Fluid(NamedTuple):
    """A tumour's fluid balance.

    radius           of the sphere [mm]
    conductivity     K of the interstitium [mm2/(Pa s)]
    filtration       Lp S/V of the vessels [1/(Pa s)]
    effective        pv - sT (piv - pi), the pressure at which nothing filters [Pa]
    drainage         LpL SL/V of lymphatics [1/(Pa s)]; 0 where there are none
    lymphatic        pressure in them [Pa]
    surface          pressure around the tumour [Pa]
    """

    radius: float
    conductivity: float
    filtration: float
    effective: float
    drainage: float = 0.0
    lymphatic: float = 0.0
    surface: float = 0.0


def checked(fluid: Fluid) -> Fluid:
    """The same, or an error that names what is impossible."""
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(fluid, name) <= high:
            raise InputError(
                f"{name} is {getattr(fluid, name):g}; expected {low:g} to {high:g} in mm, s and Pa"
            )
    if hydraulic_number(fluid) > LARGEST_A:
        raise InputError(
            f"R sqrt((Lp S/V + L) / K) is {hydraulic_number(fluid):.3g}; expected at most "
            f"{LARGEST_A:g}; is a unit off?"
        )
    return fluid


def hydraulic_number(fluid: Fluid) -> float:
    """a = R sqrt((Lp S/V + L) / K): how many lengths of pressure fit into the radius [1]."""
    return float(fluid.radius * np.sqrt((fluid.filtration + fluid.drainage) / fluid.conductivity))


def balanced_pressure(fluid: Fluid) -> float:
    """p0, which the pressure deep inside approaches: what filters in is drained [Pa]."""
    total = fluid.filtration * fluid.effective + fluid.drainage * fluid.lymphatic
    return total / (fluid.filtration + fluid.drainage)


def pressure_closed_form(fluid: Fluid, place: np.ndarray) -> np.ndarray:
    """Interstitial pressure [Pa] at distances from the centre [mm] in a uniform sphere.

    >>> tumour = Fluid(radius=10.0, conductivity=1.0, filtration=1.0, effective=1500.0)
    >>> pressure_closed_form(tumour, np.array([0.0, 9.0, 10.0])).round(1)
    array([1498.6,  886.9,    0. ])
    """
    a, p0 = hydraulic_number(checked(fluid)), balanced_pressure(fluid)
    share = np.asarray(place, dtype=float) / fluid.radius
    if ((share < 0) | (share > 1)).any():
        raise InputError("a place lies outside the sphere; expected 0 to its radius")
    # sinh(a x) / (x sinh a), without overflow; its limit at the centre is a / sinh a
    near = np.maximum(share, 1e-8)
    shape = np.exp(a * (near - 1)) * -np.expm1(-2 * a * near) / (near * -np.expm1(-2 * a))
    return np.asarray(p0 - (p0 - fluid.surface) * shape)


def velocity_closed_form(fluid: Fluid, place: np.ndarray) -> np.ndarray:
    """Interstitial velocity u = -K dp/dr [mm/s], outwards positive, at places above 0 [mm]."""
    a, p0 = hydraulic_number(checked(fluid)), balanced_pressure(fluid)
    place = np.asarray(place, dtype=float)
    if ((place <= 0) | (place > fluid.radius)).any():
        raise InputError("a place is not between the centre and the surface")
    b = a / fluid.radius
    grown = np.exp(b * (place - fluid.radius)) / -np.expm1(-2 * a)  # exp(b r) / (2 sinh a)
    fallen = np.exp(-2 * b * place)
    slope = grown * (b * place * (1 + fallen) - (1 - fallen)) * fluid.radius / place**2
    return np.asarray(fluid.conductivity * (p0 - fluid.surface) * slope)


def edges(fluid: Fluid, cells: int) -> np.ndarray:
    """Shells' edges (cells + 1,) from centre to surface, finer where the pressure falls."""
    if not 8 <= cells <= 20_000:
        raise InputError(f"{cells} shells; expected 8 to 20000")
    stretch = np.arcsinh(max(hydraulic_number(fluid), 1.0))
    depth = np.sinh(stretch * np.linspace(1, 0, cells + 1)) / np.sinh(stretch)
    return np.asarray(fluid.radius * (1 - depth))


def centres(places: np.ndarray) -> np.ndarray:
    """Middles of shells between edges."""
    return np.asarray((places[1:] + places[:-1]) / 2)


def shell_volumes(places: np.ndarray) -> np.ndarray:
    """Volumes of shells between edges."""
    return np.asarray(4 / 3 * np.pi * np.diff(places**3))


def flow(fluid: Fluid, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pressure [Pa] in shells between edges, and velocity [mm/s] through the edges.

    Finite volumes: what flows out of a shell is what flows in and what filters into it, so the sum
    over shells balances to rounding. Second order in the shells' thickness.
    """
    checked(fluid)
    middle, volume = centres(places), shell_volumes(places)
    area = 4 * np.pi * places**2
    conductance = np.zeros(places.size)
    conductance[1:-1] = fluid.conductivity * area[1:-1] / np.diff(middle)
    exchange = (fluid.filtration + fluid.drainage) * volume
    bands = np.zeros((3, middle.size))
    bands[0, 1:] = -conductance[1:-1]
    bands[1] = exchange + conductance[:-1] + conductance[1:]
    bands[2, :-1] = -conductance[1:-1]
    right = exchange * balanced_pressure(fluid)
    # Outflow at the surface from a parabola through its pressure and those of the last two shells:
    # a straight line would be of first order just where the pressure falls.
    near, far = places[-1] - middle[-1], places[-1] - middle[-2]
    through = fluid.conductivity * area[-1]
    at_surface = through * (1 / near + 1 / far)
    at_last = through * far / (near * (far - near))
    before = through * near / (far * (far - near))
    bands[1, -1] += at_last
    bands[2, -2] -= before
    right[-1] += at_surface * fluid.surface
    pressure = solve_banded((1, 1), bands, right, check_finite=False)
    outward = np.zeros(places.size)
    outward[1:-1] = -conductance[1:-1] * np.diff(pressure)
    outward[-1] = at_last * pressure[-1] - before * pressure[-2] - at_surface * fluid.surface
    velocity = np.zeros(places.size)
    velocity[1:] = outward[1:] / area[1:]
    return pressure, velocity
