"""Time-integrated activity by rules that need no fit: one point, a population's rate, trapezoids.

All take `PhysicalActivity` and give the number of decays per region (activity times time), the
share of it that lies after the last measurement, the share before the first, and the effective
rate of the tail, which is never below the decay constant. Standard deviations are those of the
activities, carried through by the derivatives of each rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels.time_activity import PhysicalActivity

STARTS = ("triangle", "extrapolate")
TAILS = ("last_two", "last_three", "physical", "none")
# Effective half-lives per time of the scan between which Haenscheid's rule is meant to be used, and
# the root mean square of its error over them, half-lives spread evenly in their logarithm.
HAENSCHEID_RANGE = (0.75, 2.5)
# Quantiles by which the spread of a population's half-life is carried through.
QUANTILES = 401


class Integral(NamedTuple):
    """Time-integrated activity of n regions.

    decays       activity times time; NaN where the rule cannot be applied
    sd           its standard deviation; NaN where none is known
    tail_share   share of `decays` after the last measurement
    start_share  share before the first
    rate         effective rate of the tail, 1/time
    held         whether that rate stands at the decay constant because the data fall no faster
    """

    decays: np.ndarray
    sd: np.ndarray
    tail_share: np.ndarray
    start_share: np.ndarray
    rate: np.ndarray
    held: np.ndarray


def haenscheid(activity: PhysicalActivity, point: int) -> Integral:
    """Decays from one measurement: A(t) 2 t / ln 2, within 12 % for 0.75 to 2.5 half-lives.

    Hänscheid, Lapa, Buck, Lassmann and Werner, J Nucl Med 2018;59:75. The standard deviation holds
    the root mean square of the rule's own error over that range, 5 %. The rule is exact for
    half-lives of t and t / 2; the share after the measurement is that of the longer, one half.

    >>> from igdd.kernels.time_activity import physical
    >>> one = physical([100.0], [[25.0]], [[0.0]], rate=0.0043, corrected_to="none")
    >>> found = haenscheid(one, 0)
    >>> found.decays.round(1), (found.sd / found.decays).round(3)
    (array([7213.5]), array([0.052]))
    """
    time = float(activity.time[point])
    if not time > 0:
        raise InputError("one measurement at time 0 says nothing of how long activity stays")
    value = activity.value[:, point]
    factor = 2 * time / np.log(2)
    unknown = np.full(value.shape, np.nan)
    return Integral(
        decays=factor * value,
        sd=np.hypot(factor * _known(activity.sd[:, point]), _haenscheid_error() * factor * value),
        tail_share=np.full(value.shape, 0.5),
        start_share=np.full(value.shape, 0.5),
        rate=unknown,
        held=np.zeros(value.shape, dtype=bool),
    )


def _known(sd: np.ndarray) -> np.ndarray:
    """Standard deviations, 0 where not known: the rule's own error is then all that is."""
    return np.asarray(np.nan_to_num(sd, nan=0.0))


def _haenscheid_error() -> float:
    """Root mean square relative error of 2 x 2^-x over the range, x = t / T uniform in its log."""
    x = np.geomspace(*HAENSCHEID_RANGE, 2001)
    return float(np.sqrt(np.mean((2 * x * 0.5**x - 1) ** 2)))


def population(activity: PhysicalActivity, point: int, half_life: float, spread: float) -> Integral:
    """Decays from one measurement and a population's effective half-life: A(t) exp(L t) / L.

    half_life  median effective half-life, in the unit of time
    spread     geometric standard deviation of the half-lives (1: all alike); they are lognormal,
               cut at the physical half-life, beyond which none can be

    The standard deviation joins that of the measurement with the root mean square deviation over
    the population from the value at its median.
    """
    physical = np.log(2) / activity.rate
    if not 0 < half_life <= physical * (1 + 1e-9):
        raise InputError(
            f"effective half-life {half_life:.4g}; expected above 0 and at most the physical one, "
            f"{physical:.4g}, in the same unit"
        )
    if not 1 <= spread < 100:
        raise InputError(f"geometric sd of the half-life is {spread:g}; expected 1 or a bit more")
    time = float(activity.time[point])
    value = activity.value[:, point]
    half_life = min(half_life, physical)
    factor = _from_one(time, np.log(2) / half_life)
    deviate = special.ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    others = np.minimum(half_life * spread**deviate, physical)
    apart = np.sqrt(np.mean((_from_one(time, np.log(2) / others) - factor) ** 2))
    rate = np.log(2) / half_life
    return Integral(
        decays=factor * value,
        sd=np.hypot(factor * _known(activity.sd[:, point]), apart * value),
        tail_share=np.full(value.shape, np.exp(-rate * time)),
        start_share=np.full(value.shape, -np.expm1(-rate * time)),
        rate=np.full(value.shape, rate),
        held=np.full(value.shape, half_life >= physical),
    )


def _from_one(time: float, rate: np.ndarray | float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(rate * time) / rate)


def trapezoid(
    activity: PhysicalActivity, start: str = "triangle", tail: str = "last_three"
) -> Integral:
    """Decays by straight lines between measurements, a start rule and a tail rule.

    start  "triangle": from 0 at administration to the first value; "extrapolate": the exponential
           through the first two carried back
    tail   the last value over the effective rate of the last two or three (log-linear regression,
           at least the decay constant), over the decay constant alone ("physical"), or "none"
    """
    if start not in STARTS:
        raise InputError(f"start is {start!r}; expected one of {', '.join(STARTS)}")
    if tail not in TAILS:
        raise InputError(f"tail is {tail!r}; expected one of {', '.join(TAILS)}")
    least = {"last_two": 2, "last_three": 3}.get(tail, 1)
    least = max(least, 2 if start == "extrapolate" else 1)
    if activity.time.size < least:
        raise InputError(
            f"{activity.time.size} measurements; the rules {start} and {tail} need {least} or more"
        )

    def parts(value: np.ndarray) -> tuple[np.ndarray, ...]:
        return _trapezoid(activity.time, value, activity.rate, start, tail)

    begin, middle, end, rate, held = parts(activity.value)
    decays = begin + middle + end
    with np.errstate(divide="ignore", invalid="ignore"):
        tail_share, start_share = end / decays, begin / decays
    sd = _carried(lambda value: np.sum(parts(value)[:3], axis=0), activity)
    return Integral(decays, sd, tail_share, start_share, rate, held)


def _trapezoid(
    time: np.ndarray, value: np.ndarray, decay: float, start: str, tail: str
) -> tuple[np.ndarray, ...]:
    """Areas (n,) before, between and after the measurements; the tail's rate; where it is held."""
    middle = np.sum(np.diff(time) * (value[:, 1:] + value[:, :-1]) / 2, axis=1)
    begin = value[:, 0] * time[0] / 2
    if start == "extrapolate":
        begin = _carried_back(time, value)
    rate, held = np.full(len(value), decay), np.zeros(len(value), dtype=bool)
    if tail in ("last_two", "last_three"):
        last = 2 if tail == "last_two" else 3
        rate, held = effective_rate(time[-last:], value[:, -last:], decay)
    end = np.zeros(len(value)) if tail == "none" else value[:, -1] / rate
    return begin, middle, end, rate, held


def _carried_back(time: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Area (n,) from 0 to the first time under the exponential through the first two values."""
    first, second = value[:, 0], value[:, 1]
    positive = (first > 0) & (second > 0)
    ratio = np.where(positive, first, 1.0) / np.where(positive, second, 1.0)
    slope = np.log(ratio) / (time[1] - time[0])
    reach = slope * time[0]
    grown = np.where(reach == 0, 1.0, np.expm1(reach) / np.where(reach == 0, 1.0, reach))
    return np.asarray(np.where(positive, first * time[0] * grown, np.nan))


def effective_rate(
    time: np.ndarray, value: np.ndarray, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log-linear rate (n,) of falling values, at least the decay constant, and where it is held.

    NaN where a value is not above zero: it has no logarithm.
    """
    usable = np.asarray((value > 0).all(axis=1))
    logs = np.log(np.where(usable[:, None], value, 1.0))
    away = time - time.mean()
    slope = -(logs @ away) / np.sum(away**2)
    held = usable & (slope <= decay)
    return np.where(usable, np.maximum(slope, decay), np.nan), held


def log_linear(activity: PhysicalActivity) -> Integral:
    """Decays of a mono-exponential by straight regression of the logarithms on time.

    Points weigh alike in the logarithm. Where the slope is below the decay constant, it is held
    there and only the height is fitted.
    """
    if activity.time.size < 2:
        raise InputError("one measurement; a mono-exponential needs two or more")

    def decays(value: np.ndarray) -> np.ndarray:
        rate, _ = effective_rate(activity.time, value, activity.rate)
        positive = np.isfinite(rate)
        logs = np.log(np.where(positive[:, None], value, 1.0)).mean(axis=1)
        height = np.exp(logs + np.where(positive, rate, 0.0) * activity.time.mean())
        return np.asarray(np.where(positive, height / rate, np.nan))

    rate, held = effective_rate(activity.time, activity.value, activity.rate)
    return Integral(
        decays=decays(activity.value),
        sd=_carried(decays, activity),
        tail_share=np.exp(-rate * activity.time[-1]),
        start_share=-np.expm1(-rate * activity.time[0]),
        rate=rate,
        held=held,
    )


def _carried(rule: Callable[[np.ndarray], np.ndarray], activity: PhysicalActivity) -> np.ndarray:
    """Standard deviation (n,) of a rule's result from those of the values, by central differences.

    NaN where one of them is not known.
    """
    variance = np.zeros(len(activity.value))
    if not np.isfinite(activity.sd).any():
        return np.full(variance.shape, np.nan)
    for column in range(activity.time.size):
        step = 1e-5 * np.maximum(np.abs(activity.value[:, column]), np.finfo(float).tiny)
        moved = activity.value.copy()
        moved[:, column] += step
        other = activity.value.copy()
        other[:, column] -= step
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (rule(moved) - rule(other)) / (2 * step)
        variance += (slope * activity.sd[:, column]) ** 2
    return np.asarray(np.sqrt(variance))
