"""From plasma concentrations to the course of absorption or release in vivo, and back.

Concentrations are straight lines between their samples, from 0 at time 0 (a sample there is used).
Whatever is exact for those lines is computed exactly. A unit impulse response is what a bolus of
one unit of dose gives: sum_i A_i exp(-rate_i t).

Wagner and Nelson, J Pharm Sci 1963;52:610; Loo and Riegelman, J Pharm Sci 1968;57:918.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError


class Response(NamedTuple):
    """A unit impulse response sum_i A_i exp(-rate_i t): amplitudes and rates (k,)."""

    amplitudes: np.ndarray
    rates: np.ndarray

    def at(self, time: np.ndarray) -> np.ndarray:
        """The response at times of at least 0."""
        return np.asarray(np.exp(-np.multiply.outer(time, self.rates)) @ self.amplitudes)


def _checked(time: np.ndarray, values: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The curve with a point (0, 0) before it, unless it has one at time 0."""
    time, values = np.asarray(time, dtype=float), np.asarray(values, dtype=float)
    if time.ndim != 1 or time.shape != values.shape or time.size < 2:
        raise InputError(
            f"{what}: {time.size} times and {values.size} values; expected two or more of each"
        )
    if not (np.isfinite(time).all() and np.isfinite(values).all()):
        raise InputError(f"{what}: a time or a value is not finite; expected numbers")
    if time[0] < 0 or not (np.diff(time) > 0).all():
        raise InputError(f"{what}: expected ascending times of at least 0, each once")
    if time[0] > 0:
        return np.append(0.0, time), np.append(0.0, values)
    return time, values


def _area(time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Running linear area (t,)."""
    return np.append(0.0, np.cumsum(np.diff(time) * (values[1:] + values[:-1]) / 2))


def absorbed(
    time: np.ndarray, concentration: np.ndarray, micro: tuple[float, float, float]
) -> np.ndarray:
    """Absorbed by each sample (t,), as the concentration that it would make in the first volume.

    C + k10 AUC(0, t) + Cp, where the peripheral Cp is k12 C convolved with exp(-k21 t), here
    exactly for straight lines.

    micro  k10, k12, k21, per unit of time; k12 0: one compartment
    """
    knots, values = _checked(time, concentration, "concentrations")
    k10, k12, k21 = micro
    if not (k10 > 0 and k12 >= 0 and k21 > 0):
        raise InputError(
            f"k10 {k10:g}, k12 {k12:g}, k21 {k21:g}; expected k10 and k21 above 0, k12 at least 0"
        )
    peripheral = k12 * convolved(knots, values, Response(np.ones(1), np.full(1, k21)))
    found = values + k10 * _area(knots, values) + peripheral
    return np.asarray(found[knots.size - np.size(time) :])


def wagner_nelson(
    time: np.ndarray, concentration: np.ndarray, rate: float, area: float | None = None
) -> np.ndarray:
    """Absorbed by each sample, as a share of what is absorbed in the end: one compartment.

    (C + k AUC(0, t)) / (k AUC(0, inf))

    rate  of elimination k, per unit of time
    area  AUC(0, inf), from elsewhere where absorption goes on beyond the last sample; None: it has
          ended by then, AUC(0, inf) = AUC(0, last) + C_last / k

    >>> time = np.linspace(0, 40, 401)
    >>> curve = np.exp(-0.1 * time) - np.exp(-0.5 * time)
    >>> wagner_nelson(time, curve, 0.1)[20].round(3)  # 1 - exp(-0.5 * 2)
    np.float64(0.632)
    """
    return loo_riegelman(time, concentration, (rate, 0.0, 1.0), area)


def loo_riegelman(
    time: np.ndarray,
    concentration: np.ndarray,
    micro: tuple[float, float, float],
    area: float | None = None,
) -> np.ndarray:
    """Absorbed by each sample, as a share of what is absorbed in the end: two compartments.

    (C + k10 AUC(0, t) + Cp) / (k10 AUC(0, inf)); micro: k10, k12, k21; area as above
    """
    amounts = absorbed(time, concentration, micro)
    whole = float(amounts[-1]) if area is None else micro[0] * area
    if not whole > 0:
        raise InputError("concentrations: nothing is absorbed; expected some above 0")
    return np.asarray(amounts / whole)


def convolved(time: np.ndarray, rate: np.ndarray, response: Response) -> np.ndarray:
    """An input rate, straight between its knots, convolved with a response: (t,) at the knots.

    Step by step: y(t + h) = exp(-k h) y(t) + the exact integral over the step of a straight line.
    """
    step = np.diff(time)
    found = np.zeros(time.size)
    for amplitude, k in zip(response.amplitudes, response.rates, strict=True):
        x = k * step
        kept = np.exp(-x)
        one = -np.expm1(-x) / k if k else step  # integral of the response over the step
        ramp = np.where(
            x > 1e-3, (step - one) / k if k else step, step**2 * (0.5 - x / 6 + x**2 / 24)
        )
        share = ramp / step
        level = 0.0
        for place in range(step.size):
            level = (
                kept[place] * level
                + rate[place] * (one[place] - share[place])
                + rate[place + 1] * share[place]
            )
            found[place + 1] += amplitude * level
    return found


def predicted(
    time: np.ndarray, released: np.ndarray, dose: float, response: Response, when: np.ndarray
) -> np.ndarray:
    """Concentration (w,) at times `when` after a dose released as shares (t,), 0 to 1, by `time`.

    Between samples the release goes on at a constant rate; after the last one it has ended. Exact.
    """
    knots, shares = _checked(time, released, "released shares")
    when = np.asarray(when, dtype=float)
    rates = np.diff(shares) / np.diff(knots)
    return np.asarray(
        dose * (_weights(when, knots, response) @ rates + shares[0] * response.at(when))
    )


def deconvolved(
    time: np.ndarray, concentration: np.ndarray, response: Response, dose: float = 1.0
) -> np.ndarray:
    """Share of the dose that was put in by each sample: constant rates between the samples.

    Exact for an input of constant rates, and as noisy as the concentrations are: a rate below zero
    is left as it is. What stands at time 0 was put in at once.
    """
    knots, values = _checked(time, concentration, "concentrations")
    if not dose > 0:
        raise InputError(f"dose {dose:g}; expected one above 0")
    step, at_once, rest = np.diff(knots), 0.0, values
    if values[0] != 0:
        first = float(np.sum(response.amplitudes))
        if not first > 0:
            raise InputError(
                f"concentrations: {values[0]:g} at time 0, where the response to a bolus is "
                f"{first:g}; expected 0 there, or a response above 0"
            )
        at_once = values[0] / first
        rest = values - at_once * response.at(knots)
    rates = np.zeros(step.size)
    weights = _weights(knots[1:], knots, response)
    if not (np.abs(np.diag(weights)) > 0).all():
        raise InputError("the unit impulse response is 0; expected amplitudes that are not")
    for place in range(step.size):
        known = weights[place, :place] @ rates[:place]
        rates[place] = (rest[place + 1] - known) / weights[place, place]
    shares = at_once + np.append(0.0, np.cumsum(rates * step))
    return np.asarray(shares[knots.size - np.size(time) :] / dose)


def _weights(when: np.ndarray, knots: np.ndarray, response: Response) -> np.ndarray:
    """Concentration (w, t - 1) by each time that a rate of 1 in each interval gives."""
    since = np.maximum(when[:, None] - knots, 0.0)
    found = np.zeros((when.size, knots.size - 1))
    for amplitude, k in zip(response.amplitudes, response.rates, strict=True):
        gone = -np.expm1(-k * since) / k if k else since
        found += amplitude * (gone[:, :-1] - gone[:, 1:])
    return found
