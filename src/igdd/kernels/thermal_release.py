"""Release that temperature triggers: its rate R(T), and what a temperature history releases.

    dF/dt = R(T(t)) (1 - F),    F(t) = 1 - exp(-integral of R(T(t')) dt')

R(T) is a table with monotone cubic interpolation (Fritsch and Carlson, SIAM J Numer Anal
1980;17:238), or k37 + (kmax - k37) / (1 + exp(-(T - T50) / w)). Both have a closed integral over T,
so that a history of straight lines between its samples is integrated exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from igdd.errors import InputError

# Rise of a line, in degrees, below which the difference of two integrals has lost its digits; there
# a Gauss-Legendre rule of five points is exact to rounding.
FLAT = 1e-4
NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)


class ReleaseRate(Protocol):
    """A rate of release as a function of temperature in degrees C."""

    def at(self, temperature: np.ndarray) -> np.ndarray:
        """Rate of release, per unit of time."""

    def integral(self, temperature: np.ndarray) -> np.ndarray:
        """Integral of the rate over temperature, from any one temperature on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RateTable:
    """Rates (n,) measured at temperatures (n,), ascending; asked for beyond them it refuses.

    >>> table = RateTable(temperature=np.array([37.0, 40.0, 42.0]), rate=np.array([0.0, 0.1, 3.0]))
    >>> table.at(np.array([40.0]))
    array([0.1])
    """

    temperature: np.ndarray
    rate: np.ndarray

    def __post_init__(self) -> None:
        for name in ("temperature", "rate"):
            object.__setattr__(self, name, np.array(getattr(self, name), dtype=float))
        if self.temperature.ndim != 1 or self.temperature.shape != self.rate.shape:
            raise InputError(
                f"{self.temperature.size} temperatures and {self.rate.size} rates; expected as many"
            )
        if self.temperature.size < 2 or not (np.diff(self.temperature) > 0).all():
            raise InputError(
                f"temperatures {self.temperature.tolist()[:6]}; expected two or more, ascending, "
                "each once"
            )
        if not (np.isfinite(self.rate).all() and (self.rate >= 0).all()):
            raise InputError(
                f"release rates {self.rate.tolist()[:6]}; expected numbers of at least 0"
            )

    def at(self, temperature: np.ndarray) -> np.ndarray:
        """Rate of release, per unit of time."""
        return np.asarray(self._curve(self._inside(temperature)))

    def integral(self, temperature: np.ndarray) -> np.ndarray:
        """Integral of the rate over temperature, from the table's first one on."""
        return np.asarray(self._area(self._inside(temperature)))

    @cached_property
    def _curve(self) -> Any:
        from scipy.interpolate import PchipInterpolator

        return PchipInterpolator(self.temperature, self.rate)

    @cached_property
    def _area(self) -> Any:
        return self._curve.antiderivative()

    def _inside(self, temperature: np.ndarray) -> np.ndarray:
        low, high = self.temperature[0], self.temperature[-1]
        outside = ~((temperature >= low) & (temperature <= high))
        if np.any(outside):
            wrong = np.asarray(temperature)[outside].flat[0]
            raise InputError(
                f"temperature {wrong:g} C is outside the table of release rates, which runs from "
                f"{low:g} to {high:g} C; expected rates for every temperature of the history"
            )
        return np.asarray(temperature, dtype=float)


@dataclass(frozen=True, kw_only=True)
class SigmoidRate:
    """A rate that rises from about `k37` to `kmax` about the transition at `T50`, over width `w`.

    >>> SigmoidRate(k37=0.0, kmax=2.0, T50=41.0, w=0.5).at(np.array([41.0]))
    array([1.])
    """

    k37: float
    kmax: float
    T50: float
    w: float

    def __post_init__(self) -> None:
        for name in ("k37", "kmax", "T50", "w"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"release rate: {name} is not finite; expected a number")
        if not 0 <= self.k37 <= self.kmax:
            raise InputError(
                f"release rate: k37 {self.k37:g} and kmax {self.kmax:g}; expected 0 <= k37 <= kmax"
            )
        if not self.w > 0:
            raise InputError(f"release rate: w is {self.w:g} degrees; expected a width above 0")

    def at(self, temperature: np.ndarray) -> np.ndarray:
        """Rate of release, per unit of time."""
        from scipy.special import expit

        risen = expit((np.asarray(temperature, dtype=float) - self.T50) / self.w)
        return np.asarray(self.k37 + (self.kmax - self.k37) * risen)

    def integral(self, temperature: np.ndarray) -> np.ndarray:
        """Integral of the rate over temperature, from T50 on but for a constant."""
        away = np.asarray(temperature, dtype=float) - self.T50
        soft = self.w * np.logaddexp(0.0, away / self.w)
        return np.asarray(self.k37 * away + (self.kmax - self.k37) * soft)


def exposure(time: np.ndarray, temperature: np.ndarray, rate: ReleaseRate) -> np.ndarray:
    """Integral (..., t) of the rate along histories (..., t) in C, by each of their samples."""
    time, temperature = np.asarray(time, dtype=float), np.asarray(temperature, dtype=float)
    if time.ndim != 1 or temperature.shape[-1:] != time.shape or not (np.diff(time) > 0).all():
        raise InputError(
            f"a temperature history of {temperature.shape[-1]} values at {time.size} times; "
            "expected as many, at ascending times"
        )
    if not np.isfinite(temperature).all():
        raise InputError("a temperature of the history is not finite; expected degrees C")
    first, last = temperature[..., :-1], temperature[..., 1:]
    rise = last - first
    sloped = np.abs(rise) > FLAT
    over = np.diff(rate.integral(temperature), axis=-1)
    mean = np.divide(over, rise, out=np.zeros(rise.shape), where=sloped)
    middle, half = (first + last) / 2, rise / 2
    level = sum(w * rate.at(middle + x * half) for x, w in zip(NODES, WEIGHTS, strict=True)) / 2
    parts = np.where(sloped, mean, level) * np.diff(time)
    start = np.zeros((*temperature.shape[:-1], 1))
    return np.concatenate([start, np.cumsum(parts, axis=-1)], axis=-1)


def released(time: np.ndarray, temperature: np.ndarray, rate: ReleaseRate) -> np.ndarray:
    """Released share (..., t), 0 to 1, along histories (..., t) in C.

    >>> steady = SigmoidRate(k37=0.1, kmax=0.1, T50=41.0, w=1.0)
    >>> released(np.array([0.0, 10.0]), np.array([37.0, 42.0]), steady).round(4)
    array([0.    , 0.6321])
    """
    return np.asarray(-np.expm1(-exposure(time, temperature, rate)))
