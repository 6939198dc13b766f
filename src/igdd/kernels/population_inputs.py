"""Population inputs: published arterial curves of contrast agents, in mol/mL over seconds.

Each stands here as its paper prints it (minutes or seconds, mmol/L) and is converted on leaving.
A curve is zero before its injection, so that a Gaussian's tail before time zero does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MILLIMOLAR = 1e-6  # mol/mL
MINUTE = 60.0


@dataclass(frozen=True)
class Population:
    """A published input: function(time in s since its injection) -> mol/mL.

    compartment  what the published numbers are of: blood (whole blood) or plasma
    dose         mol per g of body weight that gave them (0.1 mmol/kg is 1e-7), or None: not stated
    breaks       times in s where the curve has a kink
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    compartment: str
    dose: float | None
    species: str
    reference: str
    breaks: tuple[float, ...] = ()


def parker(time: np.ndarray) -> np.ndarray:
    """Whole-blood gadolinium in mol/mL, mean of 23 cancer patients given 0.1 mmol/kg [time in s].

    Two Gaussians, and an exponential under a sigmoid (Parker et al. 2006).

    >>> (parker(np.array([0.0, 10.2])) / MILLIMOLAR).round(4)
    array([0.0804, 6.0673])
    """
    minutes = time / MINUTE
    areas, centres, widths = (0.809, 0.330), (0.17046, 0.365), (0.0563, 0.132)
    peaks = np.zeros_like(minutes)
    for area, centre, width in zip(areas, centres, widths, strict=True):
        height = area / (width * math.sqrt(2 * math.pi))
        peaks += height * np.exp(-(((minutes - centre) / width) ** 2) / 2)
    alpha, beta, slope, middle = 1.050, 0.1685, 38.078, 0.483
    washout = alpha * np.exp(-beta * minutes) / (1 + np.exp(-slope * (minutes - middle)))
    return _since_injection(time, peaks + washout)


def georgiou(time: np.ndarray) -> np.ndarray:
    """Whole-blood gadolinium in mol/mL, of the patient nearest to a cohort's mean [time in s].

    A tri-exponential body transfer times a sum of gamma densities, one for each circulation that
    has begun (Georgiou et al. 2019): sum_i A_i exp(-m_i t) * sum_k gamma(t - k tau), the k-th of
    shape (k + 1)(alpha + 1) and scale beta. The paper prints its constants to two or three digits
    (0.37, 0.33, 10.06; 0.11, 1.17, 16.02; 5.26, 0.032, 0.129), from which the curve of its own
    supplement differs by up to 0.08 mmol/L; these here are that curve's, within 3e-5 mmol/L of it.
    """
    from scipy.special import gammaln

    minutes = np.asarray(time, float) / MINUTE
    amplitudes = (0.3743217133, 0.3311844052, 10.0612257990)
    rates = (0.1127006676, 1.1746462294, 16.0199620126)
    alpha, beta, period = 5.2669890224, 0.0320788335, 0.1285560014
    transfer = _exponentials(minutes, amplitudes, rates)
    last = math.floor(max(float(np.max(minutes, initial=0.0)), 0.0) / period)
    circulation = np.zeros_like(minutes)
    for k in range(last + 1):
        passed = minutes - k * period
        begun = passed > 0
        shape = (k + 1) * (alpha + 1)
        scaled = passed[begun] / beta
        density = np.exp((shape - 1) * np.log(scaled) - scaled - gammaln(shape)) / beta
        circulation[begun] += density
    return _since_injection(time, transfer * circulation)


def weinmann(time: np.ndarray) -> np.ndarray:
    """Plasma gadopentetate in mol/mL after 0.1 mmol/kg, bi-exponential from its injection [s].

    D (3.99 exp(-0.144 t) + 4.78 exp(-0.0111 t)), t in min (Weinmann et al. 1984, as fitted by
    Tofts and Kermode 1991).

    >>> (weinmann(np.array([0.0, 600.0])) / MILLIMOLAR).round(4)
    array([0.877 , 0.5223])
    """
    minutes = time / MINUTE
    dose, amplitudes, rates = 0.1, (3.99, 4.78), (0.144, 0.0111)
    return _since_injection(time, dose * _exponentials(minutes, amplitudes, rates))


def mcgrath(time: np.ndarray) -> np.ndarray:
    """Whole-blood gadolinium in mol/mL of the rat, model B [time in s].

    A linear rise to 5.21 mmol/L within 7 s, then a bi-exponential (McGrath et al. 2009).

    >>> (mcgrath(np.array([3.5, 7.0])) / MILLIMOLAR).round(4)
    array([2.605, 5.21 ])
    """
    amplitudes, rates, rise = (3.4, 1.81), (0.045, 0.0015), 7.0
    decay = _exponentials(np.maximum(time - rise, 0.0), amplitudes, rates)
    return _since_injection(time, decay * np.minimum(time / rise, 1.0))


def _exponentials(
    time: np.ndarray, amplitudes: tuple[float, ...], rates: tuple[float, ...]
) -> np.ndarray:
    return np.asarray(np.exp(-np.multiply.outer(time, rates)) @ np.array(amplitudes))


def _since_injection(time: np.ndarray, millimolar: np.ndarray) -> np.ndarray:
    return np.where(time >= 0, millimolar * MILLIMOLAR, 0.0)


POPULATIONS = {
    one.name: one
    for one in (
        Population("parker", parker, "blood", 1e-7, "human", "doi:10.1002/mrm.21066"),
        Population("georgiou", georgiou, "blood", 1e-7, "human", "doi:10.1002/mrm.27524"),
        Population("weinmann", weinmann, "plasma", 1e-7, "human", "doi:10.1002/mrm.1910170208"),
        Population("mcgrath", mcgrath, "blood", None, "rat", "doi:10.1002/mrm.21959", (7.0,)),
    )
}
