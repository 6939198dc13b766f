"""A drug in the interstitium of a spherical tumour: how deep it gets, and how evenly.

    dC/dt + (1/r^2) d(r^2 u C)/dr = (1/r^2) d(r^2 D dC/dr)/dr + source - k C - L (p - pL) C
    source = Jv (1 - s) Cp + P S/V (Cp - C) Pe / (e^Pe - 1),   Pe = Jv (1 - s) / (P S/V)
    dB/dt  = k C

C is what moves in the interstitium and B what cells have taken up, both per volume of tissue; Cp is
the concentration in plasma, Jv = Lp S/V (pv - sT (piv - pi) - p) what filters per volume and time.
The flux between shells is that of constant u and D between their middles (Scharfetter and Gummel,
IEEE Trans Electron Devices 1969;16:64), so that no concentration turns negative for want of shells.
In time: the method of `igdd.kernels.esdirk`. What enters and leaves is integrated with the
same weights: the balance closes to rounding. Baxter and Jain, Microvasc Res 1989;37:77.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.interstitium import Fluid, centres, flow, shell_volumes

SURFACES = ("outflow", "washed")
# Local error allowed in a step: relative, and as a share of the concentration in plasma.
RELATIVE, ABSOLUTE = 1e-6, 1e-10
# Least and largest of each [mm, s], of plasma's rates [1/s], and the longest time [s].
LIMITS = {
    "diffusion": (1e-15, 1e6), "permeability": (1e-20, 1e3), "reflection": (0.0, 1.0),
    "uptake": (0.0, 1e3),
}  # fmt: skip
FASTEST, LONGEST = 1e3, 1e12


class Solute(NamedTuple):
    """A drug or carrier.

    diffusion     D in the interstitium [mm2/s]
    permeability  P S/V of the vessel wall [1/s]
    reflection    s, the share that filtration leaves behind in plasma
    uptake        k, first-order uptake by cells, for good [1/s]
    surface       "outflow": what leaves is carried by the fluid, dC/dr = 0 at the surface;
                  "washed": the tissue around carries off at once what arrives, C = 0 there
    """

    diffusion: float
    permeability: float
    reflection: float
    uptake: float = 0.0
    surface: str = "outflow"


class Course(NamedTuple):
    """Concentrations over time, relative to the unit of that in plasma.

    free, bound   (t, shell)
    entered, left (t,) amounts that came from the vessels and went through surface and lymphatics
    balance       (t,) entered - left - inside, over the largest amount entered
    """

    free: np.ndarray
    bound: np.ndarray
    entered: np.ndarray
    left: np.ndarray
    balance: np.ndarray


def peclet(fluid: Fluid, solute: Solute, pressure: np.ndarray) -> np.ndarray:
    """Pe = Jv (1 - s) / (P S/V): convection over diffusion through the vessel wall [1]."""
    filtered = fluid.filtration * (fluid.effective - pressure)
    return np.asarray(filtered * (1 - solute.reflection) / solute.permeability)


def bernoulli(number: np.ndarray) -> np.ndarray:
    """x / (e^x - 1), 1 at 0.

    >>> bernoulli(np.array([0.0, 1.0, -800.0, 800.0])).round(4)
    array([1.00e+00, 5.82e-01, 8.00e+02, 0.00e+00])
    """
    number = np.asarray(number, dtype=float)
    small = np.abs(number) < 1e-6
    safe = np.where(small, 1.0, np.clip(number, -700.0, 700.0))
    exact = np.where(small, 1.0, np.where(small, 1.0, number) / np.expm1(safe))
    return np.where(small, 1 - number / 2, exact)


def checked(solute: Solute) -> Solute:
    """The same, or an error that names what is impossible."""
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(solute, name) <= high:
            raise InputError(
                f"{name} is {getattr(solute, name):g}; expected {low:g} to {high:g} in mm and s"
            )
    if solute.surface not in SURFACES:
        raise InputError(f"surface is {solute.surface!r}; expected {' or '.join(SURFACES)}")
    return solute


def transport(
    fluid: Fluid,
    solute: Solute,
    plasma: np.ndarray,
    times: np.ndarray,
    places: np.ndarray,
) -> Course:
    """Concentrations in shells between `places` at times [s], the tumour empty at time 0.

    plasma   (n, 2) of terms c exp(-k t): concentration c and rate k [1/s] each
    """
    from igdd.kernels.sphere_course import Sphere, solve

    checked(solute)
    plasma, times = np.atleast_2d(np.asarray(plasma, dtype=float)), np.asarray(times, dtype=float)
    rates = plasma[:, 1] if plasma.shape[1] == 2 else np.array([np.nan])
    if not np.isfinite(plasma).all() or not ((rates >= 0) & (rates <= FASTEST)).all():
        raise InputError(f"plasma terms must be (n, 2): concentrations, rates of 0 to {FASTEST:g}")
    if times.ndim != 1 or not (times <= LONGEST).all() or (np.diff(times, prepend=0) < 0).any():
        raise InputError(f"times must ascend from at least 0 to at most {LONGEST:g} s")
    pressure, velocity = flow(fluid, places)
    volume = shell_volumes(places)
    bands, back = _exchange_between(solute, velocity, places)
    bands[0, 1:] /= volume[:-1]
    bands[1] /= volume
    bands[2, :-1] /= volume[1:]
    crossing = peclet(fluid, solute, pressure)
    diffused = solute.permeability * bernoulli(crossing)
    filtered = fluid.filtration * (fluid.effective - pressure) * (1 - solute.reflection)
    drained = np.maximum(fluid.drainage * (pressure - fluid.lymphatic), 0.0)
    bands[1] -= diffused + drained + solute.uptake
    sums = np.stack([volume * (filtered + diffused), volume * diffused, volume * drained])
    sums[2, -1] += back
    found = np.full((times.size, 2 * volume.size + 2), np.nan)
    largest = max(float(np.abs(plasma[:, 0]).sum()), np.finfo(float).tiny)
    sphere = Sphere(bands, filtered + diffused, float(solute.uptake), sums, plasma)
    solve(sphere, times, (RELATIVE, ABSOLUTE * largest), found)
    if not np.isfinite(found).all():
        raise InputError("the transport equations could not be solved; is a unit off?")
    free, bound = found[:, : volume.size], found[:, volume.size : 2 * volume.size]
    entered, left = found[:, -2], found[:, -1]
    inside = (free + bound) @ volume
    scale = max(float(np.abs(entered).max(initial=0.0)), np.finfo(float).tiny)
    return Course(free, bound, entered, left, (entered - left - inside) / scale)


def _exchange_between(
    solute: Solute, velocity: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, float]:
    """Bands (3, n) of what convection and diffusion move per time [mm3/s], column by column, and
    what leaves the last shell through the surface per concentration there."""
    middle = centres(places)
    area = 4 * np.pi * places**2
    gap = np.diff(middle)
    conductance = solute.diffusion * area[1:-1] / gap
    number = velocity[1:-1] * gap / solute.diffusion
    forward = conductance * bernoulli(-number)  # from a shell outwards, per its concentration
    backward = conductance * bernoulli(number)
    out = float(velocity[-1] * area[-1])
    if solute.surface == "washed":
        gap_out = places[-1] - middle[-1]
        number_out = np.array(velocity[-1] * gap_out / solute.diffusion)
        out = float(solute.diffusion * area[-1] / gap_out * bernoulli(-number_out))
    elif out < 0:
        raise InputError("fluid flows into the tumour from around: its concentration is not known; "
                         "expected a surface pressure below that inside")  # fmt: skip
    bands = np.zeros((3, middle.size))
    bands[0, 1:] = backward  # row i from i + 1
    bands[2, :-1] = forward  # row i + 1 from i
    bands[1, :-1] -= forward
    bands[1, 1:] -= backward
    bands[1, -1] -= out
    return bands, out
