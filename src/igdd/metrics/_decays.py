"""Decays in a region over all time, by the rule asked for, with what there is to say of it.

    auto              AICc chooses among the models where it may, else the declared one stands
    haenscheid        one measurement: A(t) 2 t / ln 2
    population        one measurement and a population's effective half-life
    log_linear        straight regression of the logarithms: mono-exponential
    trapezoid         straight lines, a start rule and a tail rule
    a model's name    that model, by least squares

Times in h and activities in MBq within; only here, so that fits meet numbers near 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.activity_choice import choose
from igdd.kernels.activity_fit import fit_model
from igdd.kernels.activity_models import MODELS
from igdd.kernels.time_activity import PhysicalActivity
from igdd.kernels.time_integral import (
    STARTS,
    TAILS,
    Integral,
    haenscheid,
    log_linear,
    population,
    trapezoid,
)
from igdd.uncertainty import NORMAL_95

METHODS = ("auto", "haenscheid", "population", "log_linear", "trapezoid", *MODELS)
# What stands where nobody declared a model and AICc may not choose, by number of measurements.
UNDECLARED = {1: "haenscheid", 2: "mono_exponential"}
OTHERWISE = "uptake_clearance"
FIFTH = 0.2
# Share by which a model and straight lines with an effective tail may differ unremarked.
APART = 0.1


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How activity is integrated over time.

    declared    model that stands where AICc may not choose; "" for the default by measurements
    at          time in h of the measurement that a rule for one measurement uses; None: the only
    half_life   a population's median effective half-life in h, and its geometric sd `spread`
    weigh       by standard deviations, where all are known
    """

    method: str = "auto"
    declared: str = ""
    start: str = "triangle"
    tail: str = "last_three"
    weigh: bool = True
    at: float | None = None
    half_life: float | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        for name, found, known in (
            ("method", self.method, METHODS),
            ("declared", self.declared, ("", *MODELS)),
            ("start", self.start, STARTS),
            ("tail", self.tail, TAILS),
        ):
            if found not in known:
                raise InputError(
                    f"{name} is {found[:40]!r}; expected one of {', '.join(filter(None, known))}"
                )
        if self.method == "population" and (self.half_life is None or self.spread is None):
            raise InputError(
                "the rule population needs the population's effective half-life and its geometric "
                "standard deviation, such as '51 h' and 1.3; 1 says that all are alike"
            )
        if self.method != "population" and not (self.half_life is None and self.spread is None):
            raise InputError(
                f"a population's half-life beside the method {self.method}; expected it with the "
                "method population and with no other"
            )


@dataclass(frozen=True, kw_only=True)
class Decays:
    """Decays of a region.

    value, sd     MBq h; interval is on a log scale, with Student's t where sd is from residuals
    tail_share    share after the last measurement; start_share before the first
    half_life     effective half-life of the tail in h
    candidates    decays by every rule and model that was tried, MBq h
    predicted     activity at the measurements, MBq; NaN by rules without a curve
    parameters    of the model, decays first (`igdd.kernels.activity_models`); none by a rule
    """

    value: float
    sd: float
    interval: tuple[float, float]
    tail_share: float
    start_share: float
    half_life: float
    model: str
    by_aicc: bool
    model_sd: float
    candidates: Mapping[str, float] = field(default_factory=dict)
    aicc: Mapping[str, float] = field(default_factory=dict)
    predicted: tuple[float, ...] = ()
    parameters: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()


def decays(activity: PhysicalActivity, rules: Rules) -> Decays:
    """Decays in MBq h of one region, from its activity in MBq at times in h."""
    if len(activity.value) != 1:
        raise InputError(f"{len(activity.value)} regions at once; expected one")
    if not np.isfinite(activity.value).all():
        raise InputError("an activity is missing; leave the measurement out")
    if rules.method == "auto":
        return _chosen(activity, rules)
    if rules.method in MODELS:
        fit = fit_model(activity, rules.method, rules.weigh)
        known = bool((activity.sd > 0).all())
        flags = _fit_flags(int(fit.status[0]))
        found = _described(
            activity, fit.integral, rules.method,
            spare=np.inf if known else fit.spare, flags=flags, predicted=fit.predicted[0],
        )  # fmt: skip
        return dataclasses.replace(found, parameters=_plain(fit.parameters[0]))
    return _by_rule(activity, rules, rules.method)


def _chosen(activity: PhysicalActivity, rules: Rules) -> Decays:
    times = activity.time.size
    declared = rules.declared or UNDECLARED.get(times, OTHERWISE)
    if times == 1:
        if rules.declared:
            raise InputError(
                f"one measurement; it cannot be fitted by {rules.declared}; take haenscheid or "
                "population"
            )
        return _by_rule(activity, rules, declared)
    found = choose(activity, declared, weigh=rules.weigh)
    by_aicc = bool(found.by_aicc[0])
    note = () if by_aicc else ("model_declared",)
    described = _described(
        activity, found.integral, str(found.model[0]), spare=float(found.spare[0]),
        flags=(*note, *_fit_flags(int(found.status[0]))), predicted=found.predicted[0],
        by_aicc=by_aicc, model_sd=float(found.spread[0]),
        candidates={name: float(value[0]) for name, value in found.others.items()},
        aicc={name: float(value[0]) for name, value in found.aicc.items()},
    )  # fmt: skip
    lines = trapezoid(activity, "triangle", "last_two")
    candidates = {**described.candidates, "trapezoid": float(lines.decays[0])}
    apart = abs(candidates["trapezoid"] - described.value) > APART * abs(described.value)
    flags = {*described.flags, *(("rules_differ",) if apart else ())}
    return dataclasses.replace(
        described, parameters=_plain(found.parameters[0]), candidates=candidates,
        flags=tuple(sorted(flags)),
    )  # fmt: skip


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(one) for one in values)


def _by_rule(activity: PhysicalActivity, rules: Rules, rule: str) -> Decays:
    flags: tuple[str, ...] = ()
    predicted = np.full(activity.time.size, np.nan)
    if rule in ("haenscheid", "population"):
        point = _point(activity, rules.at)
        flags = ("single_time_point",)
        if rule == "haenscheid":
            found = haenscheid(activity, point)
        else:
            found = population(activity, point, rules.half_life or 0.0, rules.spread or 0.0)
    elif rule == "log_linear":
        found = log_linear(activity)
        predicted = (found.decays * found.rate * np.exp(-found.rate * activity.time)).ravel()
    else:
        found = trapezoid(activity, rules.start, rules.tail)
    if not np.isfinite(found.decays[0]):
        flags = (*flags, "tail_not_positive")
    return _described(activity, found, rule, spare=np.inf, flags=flags, predicted=predicted)


def _point(activity: PhysicalActivity, at: float | None) -> int:
    """The measurement that a rule for one uses."""
    if at is None:
        if activity.time.size > 1:
            raise InputError(
                f"{activity.time.size} measurements; the rule uses one: say which, with its time "
                f"({', '.join(f'{time:g} h' for time in activity.time[:8])})"
            )
        return 0
    nearest = int(np.argmin(np.abs(activity.time - at)))
    if abs(activity.time[nearest] - at) > 0.01 * max(at, 1e-9):
        raise InputError(
            f"no measurement at {at:g} h, to 1 %; expected one of "
            f"{', '.join(f'{time:g} h' for time in activity.time[:8])}"
        )
    return nearest


def _fit_flags(status: int) -> tuple[str, ...]:
    bits = {
        judge.NOT_FITTED: "not_fitted",
        judge.NOT_CONVERGED: "not_converged",
        judge.POORLY_IDENTIFIED: "poorly_identified",
    }
    if status & judge.NOT_FITTED:
        return ("not_fitted",)
    return tuple(name for bit, name in bits.items() if status & bit)


def _described(
    activity: PhysicalActivity,
    found: Integral,
    model: str,
    *,
    spare: float,
    flags: tuple[str, ...],
    predicted: np.ndarray,
    by_aicc: bool = False,
    model_sd: float = 0.0,
    candidates: Mapping[str, float] | None = None,
    aicc: Mapping[str, float] | None = None,
) -> Decays:
    """The region's decays with their interval and the flags that the integral itself brings."""
    value, sd, tail, start, rate = (
        float(getattr(found, name)[0])
        for name in ("decays", "sd", "tail_share", "start_share", "rate")
    )
    own = set(flags)
    if bool(found.held[0]):
        own.add("effective_rate_at_physical")
    last = activity.value[0, -2:]
    if last.size == 2 and last[1] >= last[0]:
        own.add("rising_tail")
    if tail > FIFTH:
        own.add("extrapolated_over_fifth")
    if start > FIFTH:
        own.add("start_over_fifth")
    known = bool((activity.sd > 0).all()) or (np.isfinite(spare) and spare >= 1)
    if not (known and np.isfinite(sd)):
        own.add("fit_sd_unknown")
    if (activity.value < 0).any():
        own.add("negative_activity")
    # Where the fit's own part is unknown, the rest would be an interval that is far too short.
    ends = interval(value, sd if known else float("nan"), spare, model_sd)
    return Decays(
        value=value, sd=sd, interval=ends,
        tail_share=tail, start_share=start, half_life=float(np.log(2)) / rate, model=model,
        by_aicc=by_aicc, model_sd=model_sd, candidates=dict(candidates or {}),
        aicc=dict(aicc or {}), predicted=_plain(predicted),
        flags=tuple(sorted(own)),
    )  # fmt: skip


def curve(found: Decays, time: np.ndarray, rate: float) -> np.ndarray:
    """Activity in MBq at times in h by the model that stands; NaN where a rule without one does."""
    time = np.asarray(time, dtype=float)
    if found.parameters and np.isfinite(found.parameters).all():
        return np.asarray(MODELS[found.model].predict(np.array([found.parameters]), time, rate)[0])
    if found.model == "log_linear" and np.isfinite(found.half_life):
        slope = np.log(2) / found.half_life
        return np.asarray(found.value * slope * np.exp(-slope * time))
    return np.full(time.shape, np.nan)


def interval(value: float, sd: float, spare: float, model_sd: float = 0.0) -> tuple[float, float]:
    """95 % interval on a log scale.

    `sd` is all of the standard deviation, `model_sd` the part of it that the choice of the model
    is; the rest counts by Student's t where residuals with `spare` degrees of freedom gave it.

    >>> tuple(round(end, 2) for end in interval(100.0, 10.0, float("inf")))
    (82.2, 121.65)
    """
    if not (np.isfinite(sd) and value > 0):
        return (float("nan"), float("nan"))
    many = not np.isfinite(spare) or spare < 1
    quantile = NORMAL_95 if many else float(special.stdtrit(spare, 0.975))
    own = float(np.sqrt(max(sd**2 - model_sd**2, 0.0)))
    half = float(np.hypot(quantile * own, NORMAL_95 * model_sd)) / value
    factor = float(np.exp(min(half, 700.0)))
    return value / factor, value * factor
