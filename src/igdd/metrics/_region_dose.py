"""Dose to a region from its own decays: sphere model, doubt, and biological effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.emissions import Emissions
from igdd.errors import InputError
from igdd.kernels.dose_volume import biologically_effective, repair_factor
from igdd.kernels.organ_dose import dose_cv
from igdd.metrics._decays import Decays
from igdd.self_dose import SelfDose, self_dose
from igdd.uncertainty import NORMAL_95

DECAYS = 3.6e9  # decays of one MBq h
# Step of the mass by which the self-dose's dependence on it is found.
STEP = 0.01
# What carries an agent that marrow takes up: its marrow dose needs an image, not blood.
TAKEN_UP = (
    "liposom", "colloid", "particle", "sphere", "micelle", "dendrimer", "nano", "emulsion",
    "vesicle", "exosome", "virus", "viral", "capsid", "cell", "aggregate", "ferumox", "iron oxide",
    "quantum dot", "c dot", "lipid", "polymersome", "ghost",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What makes a dose unsure beside the fit and the mass (`igdd.kernels.organ_dose.dose_cv`)."""

    calibration: float = 0.0
    recovery: float = 0.0
    elasticity: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Biology:
    """alpha/beta in Gy and the half-life of repair in h, for the biologically effective dose."""

    ratio: float
    repair: float


@dataclass(frozen=True, kw_only=True)
class RegionDose:
    """Doses in Gy of a region by what it sends out itself.

    electrons   by alphas, betas and electrons if all stayed in the region (local deposition)
    kept        share of that which stays, by the sphere model
    photons     by its own photons
    total       electrons kept + photons; sd and the part of it that all regions share
    interval    95 %, on a log scale: that of the decays, widened by what else is unsure
    bed         biologically effective dose, or None where nobody asked
    """

    mass: float
    electrons: float
    kept: float
    photons: float
    total: float
    sd: float
    sd_shared: float
    interval: tuple[float, float] = (float("nan"), float("nan"))
    bed: float | None = None


def region_dose(
    found: Decays,
    source: Emissions,
    mass: tuple[float, float],
    density: float,
    doubt: Doubt,
    biology: Biology | None = None,
) -> RegionDose:
    """Dose of `found` decays in a mass [g] with its relative standard deviation (NaN: unknown)."""
    size, mass_cv = mass
    own = self_dose(source, size, density)
    number = found.value * DECAYS
    electrons, photons = number * own.s_local, number * own.s_photon
    total = number * (own.s_charged + own.s_photon)
    fit = found.sd / abs(found.value) if found.value and np.isfinite(found.sd) else np.nan
    known_fit = float(np.nan_to_num(fit, nan=0.0))
    cv, shared = dose_cv(
        np.array([known_fit]),
        np.array([np.nan_to_num(mass_cv, nan=0.0)]),
        calibration=doubt.calibration,
        recovery=doubt.recovery,
        elasticity=doubt.elasticity,
        mass_power=mass_power(own, source),
    )
    known = np.isfinite(fit)
    return RegionDose(
        mass=size,
        electrons=electrons,
        kept=own.charged / own.local if own.local > 0 else float("nan"),
        photons=photons,
        total=total,
        sd=abs(total) * float(cv[0]) if known else float("nan"),
        sd_shared=abs(total) * shared,
        interval=widened(found, total, float(np.sqrt(max(float(cv[0]) ** 2 - known_fit**2, 0.0)))),
        bed=None if biology is None else effective_dose(total, found.half_life, biology),
    )


def widened(found: Decays, value: float, cv: float) -> tuple[float, float]:
    """95 % interval of a value in proportion to the decays, with a further relative sd.

    Half-widths add in quadrature on a log scale.
    """
    if not (found.value > 0 and value > 0 and np.isfinite(found.interval).all()):
        return (float("nan"), float("nan"))
    half = float(np.hypot(np.log(found.interval[1] / found.value), NORMAL_95 * cv))
    factor = float(np.exp(min(half, 700.0)))
    return value / factor, value * factor


def mass_power(own: SelfDose, source: Emissions) -> float:
    """-d ln S / d ln m of the self-dose: 1 for what stays, less where more of it is caught.

    >>> from igdd.emissions import emissions
    >>> source = emissions("Y-90")
    >>> round(mass_power(self_dose(source, 1000.0), source), 2)
    0.99
    """
    heavier = self_dose(source, own.mass * (1 + STEP), own.density)
    before, after = own.s_charged + own.s_photon, heavier.s_charged + heavier.s_photon
    return float(-np.log(after / before) / np.log1p(STEP))


def effective_dose(total: float, half_life: float, biology: Biology) -> float:
    """Biologically effective dose D (1 + G D / (alpha/beta)) in Gy, G = Trep / (Trep + Teff).

    The dose rate is taken to fall with the effective half-life of the tail [h] from the start.

    >>> round(effective_dose(2.7414, 49.2, Biology(ratio=2.6, repair=2.8)), 3)
    2.897
    """
    if not (np.isfinite(half_life) and half_life > 0):
        return float("nan")
    factor = repair_factor(biology.repair, half_life)
    return float(biologically_effective(np.array([total]), biology.ratio, factor)[0])


def check_marrow(carrier: str) -> None:
    """Refuse a marrow dose from blood for what marrow takes up, or where nobody said what it is."""
    plain = carrier.strip().lower().replace("nanobod", "antibod")
    if not plain:
        raise InputError(
            "marrow from blood: nothing says what carries the label; expected the carrier, such as "
            "'antibody': blood stands for marrow only where marrow takes nothing up"
        )
    caught = [word for word in TAKEN_UP if word in plain]
    if caught:
        raise InputError(
            f"marrow from blood: {carrier[:60]!r} is taken up by marrow, so that blood says too "
            "little of it; expected a region of marrow in an image (kind organ, 'red_marrow')"
        )
