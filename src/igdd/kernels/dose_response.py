"""What a dose leaves in the central compartment: bolus, infusion, first-order input, repeated.

Each exponential of the disposition (`igdd.kernels.disposition`) answers a dose on its own, and the
answers of all doses add up. For a rate and the time t since the dose

    bolus        exp(-rate t)
    infusion     the integral of that over the time of infusion, T
    first order  ka (exp(-rate t) - exp(-ka t)) / (ka - rate), and its limit where ka nears the rate

At steady state a dose stands for all its predecessors, tau apart, back to infinity: geometric sums.
Every function takes complex rates too, for derivatives by a complex step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.disposition import Disposition

# Below it the quotients of differences are replaced by their series, exact to rounding.
SMALL = 0.05
# Answers held at once.
BLOCK = 2_000_000
TERMS = 10


class Schedule(NamedTuple):
    """Doses (d,) and what has passed since each of them at the samples.

    elapsed   (d, t) time since the dose; negative: not given yet, or wiped out by a reset
    amount    (d,); duration (d,) of the infusion, 0 for a bolus
    depot     (d,) whether it enters by first-order input
    interval  (d,) between the doses of the steady state for which it stands; 0: a single dose
    rate      (d,) of an infusion that has run for ever; 0 where that is not meant
    """

    elapsed: np.ndarray
    amount: np.ndarray
    duration: np.ndarray
    depot: np.ndarray
    interval: np.ndarray
    rate: np.ndarray


class Absorption(NamedTuple):
    """First-order input (n,): rate constant, lag, and the share that arrives."""

    ka: np.ndarray
    lag: np.ndarray
    fraction: np.ndarray


def rising(rate: np.ndarray, time: np.ndarray) -> np.ndarray:
    """(1 - exp(-rate t)) / rate: what a unit infusion has left by t; t itself for a rate of 0."""
    return np.asarray(time * _first_quotient(rate * time))


def ramp(rate: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Integral of `rising` up to t: (t - rising) / rate; t^2 / 2 for a rate of 0."""
    return np.asarray(time * time * _second_quotient(rate * time))


def difference(one: np.ndarray, other: np.ndarray, time: np.ndarray) -> np.ndarray:
    """(exp(-one t) - exp(-other t)) / (other - one), also where both rates are the same."""
    swap = np.real(other) < np.real(one)
    low, high = np.where(swap, other, one), np.where(swap, one, other)
    return np.asarray(np.exp(-low * time) * time * _first_quotient((high - low) * time))


def bolus(rate: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Answer to a unit bolus at time 0; 0 before it."""
    return np.asarray(np.where(time >= 0, np.exp(-rate * _after(time)), 0.0))


def infusion(rate: np.ndarray, time: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Answer to a unit amount infused from 0 to `duration`."""
    inside = np.clip(time, 0.0, duration)
    return np.asarray(
        rising(rate, inside) * np.exp(-rate * np.maximum(time - duration, 0.0)) / duration
    )


def first_order(rate: np.ndarray, time: np.ndarray, ka: np.ndarray) -> np.ndarray:
    """Answer to a unit amount that enters at the rate constant `ka` from time 0 on."""
    return np.asarray(np.where(np.real(time) > 0, ka * difference(rate, ka, _after(time)), 0.0))


def bolus_area(rate: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Integral of `bolus` up to t."""
    return rising(rate, np.maximum(time, 0.0))


def infusion_area(rate: np.ndarray, time: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Integral of `infusion` up to t."""
    inside, after = np.clip(time, 0.0, duration), np.maximum(time - duration, 0.0)
    return np.asarray((ramp(rate, inside) + rising(rate, inside) * rising(rate, after)) / duration)


def first_order_area(rate: np.ndarray, time: np.ndarray, ka: np.ndarray) -> np.ndarray:
    """Integral of `first_order` up to t, which has no singularity where ka is the rate."""
    after = _after(time)
    return np.asarray(
        np.where(np.real(time) > 0, rising(rate, after) - difference(rate, ka, after), 0.0)
    )


def central(
    found: Disposition, schedule: Schedule, absorption: Absorption | None = None
) -> np.ndarray:
    """Concentration (n, t) in the central compartment, all doses together."""
    count, samples = schedule.elapsed.shape
    block = max(1, BLOCK // max(1, len(found.rates) * samples * found.rates.shape[1]))
    total = np.zeros((len(found.rates), samples), dtype=found.rates.dtype)
    for first in range(0, count, block):
        some = Schedule(*(one[first : first + block] for one in schedule))
        total = total + _together(found, some, absorption)
    return np.asarray(total / found.volume[:, None])


def _together(found: Disposition, schedule: Schedule, absorption: Absorption | None) -> np.ndarray:
    """Sum (n, t) of the answers to some doses, over the central volume of 1."""
    total = np.zeros((len(found.rates), schedule.elapsed.shape[1]), dtype=found.rates.dtype)
    rates, shares = found.rates[:, None, None, :], found.shares[:, None, None, :]
    depot = np.asarray(schedule.depot, dtype=bool)
    for rows, kind in ((~depot & (schedule.rate == 0), "direct"), (depot, "depot"),
                       (schedule.rate != 0, "for ever")):  # fmt: skip
        if not rows.any():
            continue
        some = Schedule(*(np.asarray(one)[rows] for one in schedule))
        amount = some.amount[None, :, None]
        if kind == "for ever":
            constant = np.sum(shares / rates, axis=-1) * np.where(some.elapsed >= 0, 1.0, 0.0)
            total = total + np.einsum("d,ndt->nt", some.rate, constant)
            continue
        if kind == "depot":
            if absorption is None:
                raise InputError(
                    "a dose into the depot, but no absorption; expected ka, lag and fraction"
                )
            amount = amount * absorption.fraction[:, None, None]
            answer = _absorbed(rates, some, absorption)
        else:
            answer = _direct(rates, some)
        total = total + np.sum(amount * np.sum(shares * answer, axis=-1), axis=1)
    return np.asarray(total)


def _direct(rates: np.ndarray, schedule: Schedule) -> np.ndarray:
    """Answers (n, d, t, k) to doses into the central compartment."""
    time = schedule.elapsed[None, :, :, None]
    length, tau = (one[None, :, None, None] for one in (schedule.duration, schedule.interval))
    infused = length > 0
    safe = np.where(infused, length, 1.0)

    def single(moment: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(infused, infusion(rates, moment, safe), bolus(rates, moment)))

    steady = tau > 0
    answer = np.where(time >= 0, single(time), 0.0)
    if not steady.any():
        return answer
    overlap = np.where(steady, np.ceil(length / np.where(steady, tau, 1.0)), 0.0)
    repeated = answer
    for past in range(1, int(overlap.max(initial=0))):
        repeated = repeated + np.where(past < overlap, single(time + past * tau), 0.0)
    # From the predecessor that has ended by now, one interval at a time, back to infinity.
    first = np.where(infused, overlap, 0.0) * tau
    ended = np.where(
        infused,
        rising(rates, length) * np.exp(-rates * _after(time + first - length)) / safe,
        np.exp(-rates * _after(time)),
    )
    tail = ended / _lost(rates * np.where(steady, tau, 1.0))
    whole = np.where(infused, repeated + tail, tail)
    return np.asarray(np.where(steady, np.where(time >= 0, whole, 0.0), answer))


def _absorbed(rates: np.ndarray, schedule: Schedule, absorption: Absorption) -> np.ndarray:
    """Answers (n, d, t, k) to doses that enter by first-order input, after their lag."""
    ka, lag = (one[:, None, None, None] for one in (absorption.ka, absorption.lag))
    given = schedule.elapsed[None, :, :, None]
    tau = schedule.interval[None, :, None, None]
    time = given - lag
    steady = tau > 0
    if not steady.any():
        return np.asarray(np.where(given >= 0, first_order(rates, time, ka), 0.0))
    # Before the lag is over the predecessor is the last that has entered.
    time = np.where(steady & (np.real(time) < 0), time + tau, time)
    gap = np.where(steady, tau, 1.0)
    after = _after(time)
    kept = 1 / _lost(rates * gap)
    repeated = ka * kept * (
        difference(rates, ka, after) + np.exp(-ka * after) * difference(rates, ka, gap)
        / _lost(ka * gap)
    )  # fmt: skip
    answer = np.where(steady, repeated, first_order(rates, time, ka))
    return np.asarray(np.where(given >= 0, answer, 0.0))


def _lost(exponent: np.ndarray) -> np.ndarray:
    """1 - exp(-x), infinite sums being NaN: nothing is eliminated, nothing settles."""
    lost = -np.expm1(-exponent)
    return np.asarray(np.where(np.real(lost) > 0, lost, np.nan))


def _after(time: np.ndarray) -> np.ndarray:
    """Time since the dose, 0 before it."""
    return np.asarray(np.where(np.real(time) > 0, time, 0.0))


def _first_quotient(x: np.ndarray) -> np.ndarray:
    """(1 - exp(-x)) / x."""
    near = np.abs(x) < SMALL
    safe = np.where(near, 1.0, x)
    found = -np.expm1(-safe) / safe
    return np.asarray(np.where(near, _series(x, near, 1), found)) if near.any() else found


def _second_quotient(x: np.ndarray) -> np.ndarray:
    """(x - 1 + exp(-x)) / x^2."""
    near = np.abs(x) < SMALL
    safe = np.where(near, 1.0, x)
    found = (safe + np.expm1(-safe)) / (safe * safe)
    return np.asarray(np.where(near, _series(x, near, 2), found)) if near.any() else found


def _series(x: np.ndarray, near: np.ndarray, order: int) -> np.ndarray:
    """sum_j (-x)^j order! ... : 1/order! - x/(order + 1)! + x^2/(order + 2)! - ..."""
    small = np.where(near, x, 0.0)
    factor = 1.0 / np.prod(np.arange(1, order + 1, dtype=float))
    total = np.zeros_like(small)
    power = np.ones_like(small)
    for term in range(TERMS):
        total = total + factor * power
        power = power * -small
        factor /= order + 1 + term
    return total
