"""What a tumour takes up of an agent of a given size: pores, interstitium, plasma, in closed form.

A Krogh cylinder of tissue (radius RK) around a capillary (radius Rc) is fed through the capillary's
wall, whose permeability P falls with the agent's hydrodynamic radius R, and holds the agent in the
share eps of its volume that R leaves open (Schmidt, Wittrup 2009, Mol Cancer Ther 8:2861;
Thurber, Wittrup 2012, J Theor Biol 314:57). Any units of time and volume that agree.

    dA/dt = W Cp - omega A        A, what can still leave, per volume of tumour; W = 2 P Rc / RK^2
    dT/dt = trap A - release T    T, what is trapped: taken up by cells, or bound
    omega = (W / eps) free + trap
    Cp    = sum of a_i exp(-l_i t)

Two-pore wall: small pores of 4.5 nm and large ones of 500 nm, fitted by Schmidt and Wittrup to
permeabilities of tumours. A sphere in a pore is hindered by its exclusion from the rim,
(1 - L)^2, and by drag, 1 / K(L): K after Haberman, Sayre 1958 below L = 0.6, after the table of
Paine, Scherr 1975 (Biophys J 15:1087) up to 0.9, no passage beyond. The two differ by 5 % where
they meet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PORES_NM = np.array([4.5, 500.0])
PORE_AREA_PER_LENGTH = np.array([17.6, 0.65])  # of the wall, per cm
VOID_PORES_NM = np.array([13.8, 1000.0])
VOID_SHARES = np.array([0.9, 0.1])
INTERSTITIAL_SHARE = 0.5
# Free diffusion at body temperature, in cm2/s times nm (Schmidt, Wittrup 2009).
DIFFUSIVITY_RADIUS = 3e-6
CAPILLARY_UM = 8.0
KROGH_UM = 75.0

DRAG_LAMBDA = np.linspace(0.60, 0.90, 16)
DRAG = np.array(
    [11.14580, 12.87453, 14.98751, 17.59862, 20.86550, 25.01092, 30.35733, 37.38467, 46.83132,
     59.87967, 78.51925, 106.31670, 150.22684, 225.51931, 372.41035, 737.25652]
)  # fmt: skip


class Plasma(NamedTuple):
    """A sum of exponentials: amplitudes and rates, both (n,)."""

    amplitude: np.ndarray
    rate: np.ndarray

    def at(self, time: np.ndarray) -> np.ndarray:
        """Concentration at times (t,)."""
        return np.asarray(self.amplitude @ np.exp(-np.outer(self.rate, time)))

    def area(self, time: np.ndarray) -> np.ndarray:
        """Area from zero to each time (t,)."""
        return np.asarray(self.amplitude @ _once(self.rate[:, None], 0.0, time))


class Tissue(NamedTuple):
    """Rates of a tumour for one agent: uptake W, exchangeable loss, trapping and its release."""

    uptake: float
    loss: float
    trap: float = 0.0
    release: float = 0.0


def radius_of_protein(mass_kda: np.ndarray) -> np.ndarray:
    """Hydrodynamic radius in nm of a globular protein of a mass in kDa: 0.912 M^0.333.

    >>> print(radius_of_protein(150.0).round(2))
    4.84
    """
    return np.asarray(0.912 * np.asarray(mass_kda, float) ** 0.333)


def pore_drag(ratio: np.ndarray) -> np.ndarray:
    """Drag on the axis of a pore over that in free fluid, by the ratio of radii; infinite over 0.9.

    >>> pore_drag(np.array([0.0, 0.4, 0.6, 0.95])).round(2)
    array([ 1.  ,  3.58, 11.15,   inf])
    """
    ratio = np.asarray(ratio, float)
    wide = np.minimum(ratio, 0.6)
    below = 1 - 2.105 * wide + 2.0865 * wide**3 - 1.7068 * wide**5 + 0.72603 * wide**6
    sphere = (1 - 0.75857 * wide**5) / below
    table = np.exp(np.interp(ratio, DRAG_LAMBDA, np.log(DRAG)))
    return np.asarray(np.where(ratio < 0.6, sphere, np.where(ratio <= 0.9, table, np.inf)))


def permeability(radius_nm: np.ndarray) -> np.ndarray:
    """Permeability of a tumour's capillaries in cm/s, for hydrodynamic radii in nm.

    >>> (1e8 * permeability(np.array([4.85, 50.0]))).round(2)
    array([38.62,  2.5 ])
    """
    radius = np.asarray(radius_nm, float)[..., None]
    ratio = radius / PORES_NM
    passed = np.maximum(1 - ratio, 0.0) ** 2 / pore_drag(ratio)
    return np.asarray((DIFFUSIVITY_RADIUS / radius * passed * PORE_AREA_PER_LENGTH).sum(axis=-1))


def void_fraction(radius_nm: np.ndarray) -> np.ndarray:
    """Share of a tumour's volume that is open to an agent, for hydrodynamic radii in nm.

    >>> void_fraction(np.array([4.85, 50.0])).round(3)
    array([0.239, 0.045])
    """
    ratio = np.asarray(radius_nm, float)[..., None] / VOID_PORES_NM
    return np.asarray(
        INTERSTITIAL_SHARE * (VOID_SHARES * np.maximum(1 - ratio, 0.0) ** 2).sum(axis=-1)
    )


def uptake_rate(
    permeability_cm_s: np.ndarray, capillary_um: float = CAPILLARY_UM, krogh_um: float = KROGH_UM
) -> np.ndarray:
    """Plasma cleared into a tumour, 2 P Rc / RK^2, per second and volume of tumour.

    >>> print((uptake_rate(3.86e-7) * 3600).round(4))
    0.0395
    """
    return np.asarray(2 * np.asarray(permeability_cm_s) * 1e4 * capillary_um / krogh_um**2)


def tissue_of(
    uptake: float,
    void: float,
    *,
    trap: float = 0.0,
    release: float = 0.0,
    antigen_over_kd: float = 0.0,
    internalisation: float = 0.0,
) -> Tissue:
    """Rates of a tumour that exchanges, traps and, with a target, binds and internalises.

    antigen_over_kd   antigen per accessible volume over the dissociation constant, [Ag]/(eps Kd)
    internalisation   rate at which what is bound is taken in; it counts as trapped

    Binding at once and not saturated: the free share 1 / (1 + antigen_over_kd) can leave.
    """
    free = 1 / (1 + antigen_over_kd)
    return Tissue(
        uptake=uptake,
        loss=uptake / void * free,
        trap=trap + internalisation * (1 - free),
        release=release,
    )


def tumour_uptake(tissue: Tissue, plasma: Plasma, time: np.ndarray) -> np.ndarray:
    """Amount per volume of tumour at times (t,), exchangeable and trapped together.

    With `trap` infinite nothing that entered leaves: W times the area of the plasma curve.

    >>> plasma = Plasma(np.array([1.0]), np.array([0.1]))
    >>> tumour_uptake(Tissue(0.01, 0.1), plasma, np.array([10.0])).round(6)  # both rates alike
    array([0.036788])
    """
    time = np.asarray(time, float)
    if np.isinf(tissue.trap):
        if tissue.release == 0:
            return np.asarray(tissue.uptake * plasma.area(time))
        held = _once(plasma.rate[:, None], tissue.release, time)
        return np.asarray(tissue.uptake * (plasma.amplitude @ held))
    omega = tissue.loss + tissue.trap
    rate = plasma.rate[:, None]
    found = _once(rate, omega, time)
    if tissue.trap > 0:
        found = found + tissue.trap * _twice(rate, omega, tissue.release, time)
    return np.asarray(tissue.uptake * (plasma.amplitude @ found))


def time_of_maximum(tissue: Tissue, plasma: Plasma, horizon: float) -> float:
    """Time at which a tumour holds most; infinite where it still rises at `horizon`.

    One exponential without trapping: ln(loss / rate) / (loss - rate).

    >>> plasma = Plasma(np.array([1.0]), np.array([0.2]))
    >>> round(time_of_maximum(Tissue(1.0, 0.1), plasma, 1000.0), 5)  # ln 2 / 0.1
    6.93147
    """
    from scipy.optimize import minimize_scalar

    grid = horizon * np.geomspace(1e-6, 1.0, 2000)
    values = tumour_uptake(tissue, plasma, grid)
    best = int(np.argmax(values))
    # A plateau that is reached from below has no maximum but that of rounding.
    if values[best] - values[-1] <= 1e-9 * values[best]:
        return float("inf")
    around = (grid[max(best - 1, 0)], grid[best + 1])
    found = minimize_scalar(
        lambda moment: -float(tumour_uptake(tissue, plasma, np.array([moment]))[0]),
        bounds=around, method="bounded", options={"xatol": 1e-12 * horizon},
    )  # fmt: skip
    return float(found.x)


def _once(first: np.ndarray | float, second: np.ndarray | float, time: np.ndarray) -> np.ndarray:
    """exp(-first t) convolved with exp(-second t): t exp(-first t) (e^x - 1) / x, x the lag."""
    lag = (np.asarray(first, float) - second) * time
    safe = np.where(np.abs(lag) < 1e-8, 1.0, lag)
    # The larger of the two rates is taken out, so that nothing overflows.
    grown = np.where(
        lag > 0, -np.expm1(-np.abs(safe)) / np.abs(safe), np.expm1(-np.abs(safe)) / -np.abs(safe)
    )
    grown = np.where(np.abs(lag) < 1e-8, 1 - np.abs(lag) / 2, grown)
    return np.asarray(time * np.exp(-np.minimum(np.asarray(first, float), second) * time) * grown)


def _twice(rate: np.ndarray, omega: float, release: float, time: np.ndarray) -> np.ndarray:
    """Three exponentials convolved, by the widest gap between their rates; a series where none."""
    rates = np.sort(
        np.stack([rate, np.full_like(rate, omega), np.full_like(rate, release)]), axis=0
    )
    low, middle, high = rates
    gap = (high - low) * time
    safe = np.where(gap < 1e-3, 1.0, high - low)
    divided = (_once(low, middle, time) - _once(middle, high, time)) / safe
    centre = rates.mean(axis=0)
    spread = ((rates - centre) ** 2).sum(axis=0)
    series = time**2 / 2 * np.exp(-centre * time) * (1 + spread * time**2 / 24)
    return np.asarray(np.where(gap < 1e-3, series, divided))
