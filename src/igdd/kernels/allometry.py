"""Allometry: how a parameter grows with body weight, y = a W^b, and what that says of another body.

The exponents that serve where none was measured, as exponent and the scatter between substances:

* clearance      0.74, sd 0.16, of 91 xenobiotics (Hu, Hayton 2001, AAPS PharmSci 3:E29)
* volume         1.0, volumes being shares of the body (West, Brown, Enquist 1997, Science 276:122)
* half-life      volume less clearance: 0.26, with the scatter of clearance

For liposomes with polyethylene glycol, allometry of three drugs over mouse, rat, dog and man missed
human clearance by more than 30 % often (Caron et al. 2011, J Pharmacokinet Pharmacodyn 38:653).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

NORMAL_95 = 1.959963984540054
LARGEST_CV = 1e6  # beyond it nothing is known, and its square still is a number


class Exponent(NamedTuple):
    """An exponent of body weight, and its standard deviation between substances."""

    value: float
    sd: float
    source: str


CLEARANCE = Exponent(0.74, 0.16, "Hu and Hayton 2001, AAPS PharmSci 3:E29, 91 xenobiotics")
VOLUME = Exponent(1.0, 0.0, "a share of the body; West, Brown and Enquist 1997, Science 276:122")
HALF_LIFE = Exponent(0.26, 0.16, "volume (1) less clearance (0.74, sd 0.16; Hu and Hayton 2001)")
EXPONENTS = {"clearance": CLEARANCE, "volume": VOLUME, "half_life": HALF_LIFE}


def log_sd(relative_sd: float) -> float:
    """Standard deviation of the logarithm of a log-normal value with a coefficient of variation.

    >>> round(log_sd(0.1), 4), round(log_sd(1.0), 4)
    (0.0998, 0.8326)
    """
    return float(np.sqrt(np.log1p(min(relative_sd, LARGEST_CV) ** 2)))


class Line(NamedTuple):
    """ln y = ln a + b ln W over species: both estimates, covariance, scatter, freedom."""

    log_scale: float
    exponent: float
    covariance: np.ndarray
    variance: float
    freedom: int


class Scaled(NamedTuple):
    """A prediction and its 95 % band; `log_sd` is that of its logarithm."""

    value: float
    low: float
    high: float
    log_sd: float


def scaled(
    value: float, ratio: float, exponent: Exponent, relative_sd: float = 0.0, fold_sd: float = 0.0
) -> Scaled:
    """A parameter of a body `ratio` times as heavy: value ratio^b, with its band.

    The logarithm's variance is (sd_b ln ratio)^2, that of the value, ln(1 + relative_sd^2), and any
    other scatter, fold_sd^2 (of the natural logarithm).

    >>> scaled(1.0, 16.0, Exponent(0.75, 0.0, "")).value
    8.0
    """
    found = value * ratio**exponent.value
    spread = float(
        np.sqrt((exponent.sd * np.log(ratio)) ** 2 + log_sd(relative_sd) ** 2 + fold_sd**2)
    )
    factor = float(np.exp(NORMAL_95 * spread))
    low, high = sorted((found / factor, found * factor))
    return Scaled(found, low, high, spread)


def fit_line(weight: np.ndarray, value: np.ndarray) -> Line:
    """Exponent and scale over species, of n >= 3 weights and values above zero, by logarithms.

    >>> weight = np.array([0.02, 0.25, 10.0, 70.0])
    >>> line = fit_line(weight, 3 * weight**0.75)
    >>> round(line.exponent, 6), round(float(np.exp(line.log_scale)), 6)
    (0.75, 3.0)
    """
    logs = np.log(weight)
    design = np.column_stack([np.ones(logs.size), logs])
    inverse = np.linalg.inv(design.T @ design)
    scale, exponent = inverse @ design.T @ np.log(value)
    residual = np.log(value) - design @ np.array([scale, exponent])
    freedom = logs.size - 2
    variance = float(residual @ residual) / freedom
    return Line(float(scale), float(exponent), inverse * variance, variance, freedom)


def exponent_interval(line: Line) -> tuple[float, float]:
    """95 % interval of an exponent, by Student's t."""
    half = float(special.stdtrit(line.freedom, 0.975) * np.sqrt(line.covariance[1, 1]))
    return line.exponent - half, line.exponent + half


def predicted(line: Line, weight: float) -> Scaled:
    """A new species' value at a weight, with its 95 % prediction interval, by Student's t."""
    row = np.array([1.0, np.log(weight)])
    middle = float(row @ np.array([line.log_scale, line.exponent]))
    spread = float(np.sqrt(line.variance + row @ line.covariance @ row))
    half = float(special.stdtrit(line.freedom, 0.975)) * spread
    return Scaled(
        float(np.exp(middle)), float(np.exp(middle - half)), float(np.exp(middle + half)), spread
    )
