"""Estimates: a value with its random and its shared uncertainty.

`sd` is the total standard deviation; `sd_shared` is the part common to all rows of a scan
(calibration, dose), so that a ratio within a scan drops it and a sum adds it linearly.
Unknown is NaN in the arithmetic and None at the doors, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, its total standard deviation and the part shared within a scan (all in one unit).

    >>> Estimate(value=2.0, sd=0.5, sd_shared=0.3).sd_random
    0.4
    """

    value: float
    sd: float = np.nan
    sd_shared: float = 0.0

    @property
    def sd_random(self) -> float:
        """The part of the standard deviation that is this row's own."""
        return (
            float(np.sqrt(max(self.sd**2 - self.sd_shared**2, 0.0)))
            if self.sd == self.sd
            else np.nan
        )

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval, normal."""
        return self.value - NORMAL_95 * self.sd, self.value + NORMAL_95 * self.sd

    def times(self, factor: float, cv_random: float = 0.0, cv_shared: float = 0.0) -> Estimate:
        """Product with a factor whose own relative uncertainties add in quadrature.

        >>> Estimate(value=2.0, sd=0.0).times(3.0, cv_shared=0.1)
        Estimate(value=6.0, sd=0.6000000000000001, sd_shared=0.6000000000000001)
        """
        value = self.value * factor
        shared = float(np.hypot(self.sd_shared * factor, value * cv_shared))
        random = float(np.hypot(self.sd_random * factor, value * cv_random))
        return Estimate(value=value, sd=float(np.hypot(shared, random)), sd_shared=shared)


def ratio(upper: Estimate, lower: Estimate, covariance: float = 0.0) -> Estimate:
    """Ratio of two rows of one scan: what they share cancels (delta method).

    `covariance` is that of the two random parts, in the product of their units.

    >>> tumour = Estimate(value=4.0, sd=0.4, sd_shared=0.4)
    >>> ratio(tumour, Estimate(value=2.0, sd=0.2, sd_shared=0.2))
    Estimate(value=2.0, sd=0.0, sd_shared=0.0)
    """
    if lower.value == 0 or not np.isfinite(lower.value):
        return Estimate(value=np.nan)
    value = upper.value / lower.value
    relative = [e.sd_random / abs(e.value) if e.value else np.nan for e in (upper, lower)]
    cross = 2 * covariance / (upper.value * lower.value) if covariance else 0.0
    variance = relative[0] ** 2 + relative[1] ** 2 - cross
    return Estimate(value=value, sd=float(abs(value) * np.sqrt(max(variance, 0.0))))


def total(parts: Sequence[Estimate], covariance: np.ndarray | None = None) -> Estimate:
    """Sum of rows of one scan: random parts by their covariance, shared parts linearly.

    >>> part = Estimate(value=1.0, sd=0.1, sd_shared=0.1)
    >>> total([part, part])
    Estimate(value=2.0, sd=0.2, sd_shared=0.2)
    """
    shared = float(sum(part.sd_shared for part in parts))
    if covariance is None:
        random = float(np.sqrt(sum(part.sd_random**2 for part in parts)))
    else:
        random = float(np.sqrt(max(float(np.sum(covariance)), 0.0)))
    value = float(sum(part.value for part in parts))
    return Estimate(value=value, sd=float(np.hypot(shared, random)), sd_shared=shared)
