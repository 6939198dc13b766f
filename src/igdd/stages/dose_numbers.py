"""Numbers of a region's dose with their uncertainty: mean, D_x, V_d, EUD, BED and EUBED.

What is uncertain alike in all voxels (calibration, time integration, density) moves the whole
distribution; every number is computed again one standard deviation up and down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.kernels import dose_volume
from igdd.uncertainty import Estimate

PERCENTS = (98.0, 95.0, 90.0, 70.0, 50.0, 20.0, 10.0, 5.0, 2.0)
# Relative uncertainties that all voxels share, and what each is of.
SOURCES = {
    "calibration": "the scanner's calibration",
    "recovery": "the correction for partial volume",
    "time_integration": "the integration over time",
    "dose_factor": "energy per decay, or the kernel",
    "density": "the density or mass",
}
# Steps of a histogram that is written and drawn.
STEPS = 200


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which numbers are asked for beside mean, lowest, highest and some D_x.

    dose_to      percents of the volume, of D_x; volume_from doses in Gy, of V_d
    exponent     of the generalised EUD
    alpha        1/Gy, for EUD by cell survival, and with alpha_beta for EUBED
    alpha_beta   Gy, for BED, with half-lives of repair and of the dose rate in one unit
    """

    dose_to: tuple[float, ...] = PERCENTS
    volume_from: tuple[float, ...] = ()
    exponent: float | None = None
    alpha: float | None = None
    alpha_beta: float | None = None
    repair: float | None = None
    effective: float | None = None

    def __post_init__(self) -> None:
        bed = (self.alpha_beta, self.repair, self.effective)
        if any(one is not None for one in bed) and any(one is None for one in bed):
            raise InputError(
                "BED needs alpha/beta (Gy), the half-life of repair and the effective half-life "
                "of the dose rate; expected all three or none"
            )
        for dose in self.volume_from:
            if not 0 <= dose < np.inf:
                raise InputError(f"V from {dose:g} Gy; expected a dose of 0 Gy or more")
        # An impossible number is refused before hours of work, not after.
        values(np.ones(1), np.ones(1), self)


def values(dose: np.ndarray, weights: np.ndarray, wanted: Wanted) -> dict[str, tuple[float, str]]:
    """Every number that is asked for, with its unit, by name.

    >>> found = values(np.array([1.0, 3.0]), np.ones(2), Wanted(dose_to=(50.0,)))
    >>> found["mean"], found["D50"]
    ((2.0, 'Gy'), (3.0, 'Gy'))
    """
    curve = dose_volume.dose_volume(dose, weights)
    found = {
        "mean": (dose_volume.mean(dose, weights), "Gy"),
        "min": (float(curve.dose[-1]), "Gy"),
        "max": (float(curve.dose[0]), "Gy"),
    }
    for percent in wanted.dose_to:
        found[f"D{percent:g}"] = (dose_volume.dose_to(curve, percent), "Gy")
    for level in wanted.volume_from:
        found[f"V{level:g}Gy"] = (100 * dose_volume.volume_from(curve, level), "%")
    if wanted.exponent is not None:
        eud = dose_volume.generalised_eud(dose, weights, wanted.exponent)
        found["gEUD"] = (eud, "Gy")
    if wanted.alpha is not None:
        found["EUD"] = (dose_volume.equivalent_uniform(dose, weights, wanted.alpha), "Gy")
    if wanted.alpha_beta is not None and wanted.repair is not None and wanted.effective is not None:
        factor = dose_volume.repair_factor(wanted.repair, wanted.effective)
        effect = dose_volume.biologically_effective(dose, wanted.alpha_beta, factor)
        found["BED_mean"] = (dose_volume.mean(effect, weights), "Gy")
        if wanted.alpha is not None:
            eubed = dose_volume.equivalent_uniform(effect, weights, wanted.alpha)
            found["EUBED"] = (eubed, "Gy")
    return found


def estimates(
    dose: np.ndarray, weights: np.ndarray, wanted: Wanted, cv: float
) -> dict[str, tuple[Estimate, str]]:
    """Numbers with the standard deviation that a shared relative one of the dose gives them.

    NaN where `cv` is not known.
    """
    found = values(dose, weights, wanted)
    if np.isnan(cv):
        return {name: (Estimate(value=value), unit) for name, (value, unit) in found.items()}
    up = values(dose * (1 + cv), weights, wanted)
    down = values(dose * (1 - cv), weights, wanted)
    made = {}
    for name, (value, unit) in found.items():
        sd = abs(up[name][0] - down[name][0]) / 2
        made[name] = (Estimate(value=value, sd=sd, sd_shared=sd), unit)
    return made


def shared_cv(uncertainties: Mapping[str, float]) -> float:
    """Relative standard deviation of the dose from all sources; NaN where none was named.

    >>> round(shared_cv({"calibration": 0.03, "time_integration": 0.04}), 9)
    0.05
    """
    for name, cv in uncertainties.items():
        if name not in SOURCES:
            raise InputError(
                f"uncertainty of {name!r}; expected one of {', '.join(SOURCES)}, such as "
                "calibration=5 %"
            )
        if not 0 <= cv < 1:
            raise InputError(f"uncertainty of {name} is {cv:g}; expected 0 to 1 (0 to 100 %)")
    if not uncertainties:
        return float("nan")
    return float(np.sqrt(sum(cv**2 for cv in uncertainties.values())))


def histogram(dose: np.ndarray, weights: np.ndarray, upto: float) -> list[tuple[float, float]]:
    """Steps (dose in Gy, share of the volume with it or more) from 0 to beyond a highest dose."""
    curve = dose_volume.dose_volume(dose, weights)
    levels = np.linspace(0.0, upto if upto > 0 else 1.0, STEPS) * (1 + 1 / STEPS)
    return [(float(level), dose_volume.volume_from(curve, float(level))) for level in levels]


def rows(
    main: Mapping[str, tuple[Estimate, str]], other: Mapping[str, tuple[Estimate, str]] | None
) -> Iterable[dict[str, Any]]:
    """Rows of a table: each number with its interval, and what the other method would give."""
    for name, (estimate, unit) in main.items():
        low, high = estimate.interval
        yield {
            "name": name,
            "value": estimate.value,
            "sd": estimate.sd,
            "low": low,
            "high": high,
            "unit": unit,
            "other_method": float("nan") if other is None else other[name][0].value,
        }
