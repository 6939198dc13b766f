"""What a dose distribution does to a region: histogram, D_x, V_x, EUD, BED and EUBED.

Doses in Gy of the voxels (n,) of a region with weights (n,), the share of each voxel in it. A
histogram's steps are kept: nothing is interpolated between voxels.

    D_x     the highest dose that x percent of the volume receive or exceed
    V_d     share of the volume that receives a dose d or more
    gEUD    (mean D^a)^(1/a), A. Niemierko (Med. Phys. 26 (1999) 1100)
    BED     D (1 + G D / (alpha/beta)), G = T_repair / (T_repair + T_effective) for a dose rate
            that falls with one effective half-life, R. G. Dale (Br. J. Radiol. 58 (1985) 515)
    EUBED   -ln(mean exp(-alpha BED)) / alpha: the even BED that as many cells survive, J. A.
            O'Donoghue (J. Nucl. Med. 40 (1999) 1337)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError


class DoseVolume(NamedTuple):
    """Doses of a region from high to low (n,), and the share of its volume that has each or more.

    share[i] is the volume of the voxels up to i over the whole.
    """

    dose: np.ndarray
    share: np.ndarray


def dose_volume(dose: np.ndarray, weights: np.ndarray) -> DoseVolume:
    """The cumulative dose-volume histogram of a region, one step for each dose."""
    if dose.shape != weights.shape or not dose.size:
        raise InputError(f"{dose.size} doses with {weights.size} weights; expected one for each")
    if not np.isfinite(dose).all():
        raise InputError("a dose is not a number; leave such voxels out, and say so")
    order = np.argsort(-dose, kind="stable")
    held = np.cumsum(weights[order])
    if not held[-1] > 0:
        raise InputError("the region's weights add up to 0; expected a region with a volume")
    return DoseVolume(dose[order], held / held[-1])


def dose_to(found: DoseVolume, percent: float) -> float:
    """D_x [Gy]: the highest dose that x percent of the volume receive or exceed.

    >>> made = dose_volume(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4))
    >>> dose_to(made, 50), dose_to(made, 100)
    (3.0, 1.0)
    """
    if not 0 < percent <= 100:
        raise InputError(f"D{percent:g}: a share of the volume is above 0 and at most 100 percent")
    # Sums of weights carry rounding: half the volume of four voxels is two, not three.
    at = int(np.searchsorted(found.share, percent / 100 * (1 - 1e-12)))
    return float(found.dose[min(at, found.dose.size - 1)])


def volume_from(found: DoseVolume, dose: float) -> float:
    """V_d: the share [0..1] of the volume that receives `dose` Gy or more.

    >>> volume_from(dose_volume(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4)), 3.0)
    0.5
    """
    above = int(np.searchsorted(-found.dose, -dose, side="right"))
    return float(found.share[above - 1]) if above else 0.0


def mean(dose: np.ndarray, weights: np.ndarray) -> float:
    """Mean dose in Gy, by volume."""
    return float(dose @ weights / weights.sum())


def generalised_eud(dose: np.ndarray, weights: np.ndarray, exponent: float) -> float:
    """gEUD in Gy; exponent 1 is the mean, a large one the maximum, a negative one heeds cold spots.

    With a negative exponent a dose of 0 makes it 0; doses below 0 have no power and give NaN.

    >>> generalised_eud(np.array([1.0, 3.0]), np.ones(2), 1.0)
    2.0
    """
    if exponent == 0 or not np.isfinite(exponent):
        raise InputError(f"the exponent of the EUD is {exponent:g}; expected a number other than 0")
    if dose.min() < 0:
        return float("nan") if exponent != 1 else mean(dose, weights)
    if exponent < 0 and dose[weights > 0].min() == 0:
        return 0.0
    size = float(dose.max())
    if size == 0:
        return 0.0
    with np.errstate(divide="ignore"):
        powers = exponent * np.log(dose / size)
    return size * float(np.exp(_log_mean(powers, weights) / exponent))


def repair_factor(repair: float, effective: float) -> float:
    """G of a dose rate that falls for ever with one half-life, from two half-lives in one unit.

    >>> round(repair_factor(2.8, 49.2), 4)
    0.0538
    """
    if not (repair > 0 and effective > 0):
        raise InputError(
            f"half-lives of repair {repair:g} and of the dose rate {effective:g}; expected above 0"
        )
    return repair / (repair + effective)


def biologically_effective(dose: np.ndarray, ratio: float, factor: float) -> np.ndarray:
    """BED in Gy, voxel by voxel: `ratio` is alpha/beta in Gy, `factor` the repair factor G.

    >>> print(biologically_effective(np.array([2.7414]), 2.6, repair_factor(2.8, 49.2)).round(3))
    [2.897]
    """
    if not ratio > 0:
        raise InputError(f"alpha/beta is {ratio:g} Gy; expected above 0")
    return np.asarray(dose * (1 + factor * dose / ratio))


def equivalent_uniform(effect: np.ndarray, weights: np.ndarray, alpha: float) -> float:
    """The even dose (or BED) in Gy that leaves as many cells alive; `alpha` in 1/Gy.

    >>> half = equivalent_uniform(np.array([0.0, 100.0]), np.ones(2), 0.35)
    >>> print(round(half, 4))  # ln 2 / alpha: half of the cells survive
    1.9804
    """
    if not alpha > 0:
        raise InputError(f"alpha is {alpha:g} 1/Gy; expected above 0")
    return -_log_mean(-alpha * effect, weights) / alpha


def _log_mean(logarithms: np.ndarray, weights: np.ndarray) -> float:
    """Logarithm of the weighted mean of exponentials, which by themselves may vanish."""
    known = weights > 0
    largest = float(logarithms[known].max())
    shares = weights[known] / weights[known].sum()
    return largest + float(np.log(np.sum(shares * np.exp(logarithms[known] - largest))))
