"""Fits of activity over time: decays by one model, for many regions, with their standard deviation.

Least squares with bounds (`igdd.kernels.levenberg`), in units of each curve's own size, from the
best shapes of a grid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.activity_models import MODELS, ActivityModel, starts
from igdd.kernels.levenberg import fit_curves
from igdd.kernels.time_activity import PhysicalActivity
from igdd.kernels.time_integral import Integral

# A rate is held at the decay constant when it exceeds it by less than this share: no measurement
# tells a biological half-life of a million physical ones from none.
HELD = 1e-6
# Sums of squares are alike when they differ by less than this share of that of the data.
ALIKE = 1e-12


class FittedActivity(NamedTuple):
    """A model fitted to n regions.

    integral    decays with sd, shares, effective rate and whether that is held
    parameters  (n, p): D, then the model's own
    predicted   (n, t)
    squares     (n,) weighted sums of squares
    spare       n - k, the degrees of freedom that the residuals have
    status      (n,) bits of `igdd.kinetics.Status`
    """

    integral: Integral
    parameters: np.ndarray
    predicted: np.ndarray
    squares: np.ndarray
    spare: int
    status: np.ndarray


def fit_model(activity: PhysicalActivity, name: str, weigh: bool = True) -> FittedActivity:
    """Decays by one model, least squares.

    weigh  by the standard deviations, for regions where every one is known; else all points alike

    The standard deviation is carried from those of the measurements where they are known, and else
    comes from the residuals (n - k degrees of freedom; NaN where n = k).

    >>> from igdd.kernels.time_activity import physical
    >>> hours = np.array([1.0, 24.0, 72.0])
    >>> flat = physical(hours, 50 * np.exp(-0.02 * hours), None, rate=0.004, corrected_to="none")
    >>> fit_model(flat, "mono_exponential").integral.decays.round(6)
    array([2500.])
    """
    model = model_named(name)
    times = activity.time.size
    if times < model.size:
        raise InputError(
            f"{times} measurements; {name} has {model.size} parameters and needs as many"
        )
    known = (activity.sd > 0).all(axis=1) & np.isfinite(activity.sd).all(axis=1)
    spread = np.where((known & weigh)[:, None], activity.sd, 1.0)
    # In units of each curve's own size, so that the fit's absolute tolerances have a meaning.
    size = np.abs(activity.value).max(axis=1, initial=0.0, where=np.isfinite(activity.value))
    size = np.where(size > 0, size, 1.0)[:, None]
    values, spread = activity.value / size, spread / np.where((known & weigh)[:, None], size, 1.0)
    begin = starts(model, activity.time, np.nan_to_num(values), 1 / spread, activity.rate)
    fitted = fit_curves(
        lambda parameters: model.predict(parameters, activity.time, activity.rate),
        values, spread, begin, model.bounds(activity.rate),
    )  # fmt: skip
    found = _at_once(activity, model, fitted.parameters, (values, spread))
    reached = model.predict(np.nan_to_num(found), activity.time, activity.rate)
    reached = np.where(np.isnan(found[:, :1]), np.nan, reached)
    parameters = found * np.where(np.arange(model.size) == 0, size, 1.0)
    predicted = reached * size
    squares = np.sum(((values - reached) / spread) ** 2, axis=1)
    covariance = _covariance(activity, model, parameters, spread, known)
    first, last = float(activity.time[0]), float(activity.time[-1])
    shapes = np.nan_to_num(parameters[:, 1:])
    rate = np.where(np.isnan(parameters[:, 0]), np.nan, model.slowest(shapes, activity.rate))
    integral = Integral(
        decays=parameters[:, 0],
        sd=np.sqrt(covariance),
        tail_share=np.where(np.isnan(rate), np.nan, model.tail(shapes, last, activity.rate)),
        start_share=np.where(np.isnan(rate), np.nan, 1 - model.tail(shapes, first, activity.rate)),
        rate=rate,
        held=rate <= activity.rate * (1 + HELD),
    )
    spare = times - model.size
    return FittedActivity(integral, parameters, predicted, squares, spare, fitted.status)


def _at_once(
    activity: PhysicalActivity,
    model: ActivityModel,
    found: np.ndarray,
    data: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Parameters (n, p) with uptake at once where the measurements cannot tell it from theirs.

    What is taken up long before the first measurement leaves a direction without any slope.
    """
    if "time" not in model.names:
        return found
    values, spread = data
    simple = np.nan_to_num(found)
    simple[:, -1] = 0.0
    last = activity.time[-1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = model.predict(np.nan_to_num(found), last, activity.rate)
        simple[:, 0] *= (grown / model.predict(simple, last, activity.rate))[:, 0]

    def squares(parameters: np.ndarray) -> np.ndarray:
        reached = model.predict(parameters, activity.time, activity.rate)
        return np.asarray(np.sum(((values - reached) / spread) ** 2, axis=1))

    with np.errstate(invalid="ignore"):
        whole = np.sum((values / spread) ** 2, axis=1)
        alike = squares(simple) <= squares(np.nan_to_num(found)) + ALIKE * whole
    known = np.isfinite(found).all(axis=1) & np.isfinite(simple).all(axis=1)
    return np.where((alike & known)[:, None], simple, found)


def model_named(name: str) -> ActivityModel:
    """The model of a name."""
    if name not in MODELS:
        raise InputError(f"model {name!r} is unknown; expected one of {', '.join(MODELS)}")
    return MODELS[name]


def _covariance(
    activity: PhysicalActivity,
    model: ActivityModel,
    parameters: np.ndarray,
    spread: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Variance (n,) of D from those of the measurements, or from the residuals where unknown.

    D moves with the data by H = (J' W J)^-1 J' W; parameters at a bound stay there.
    """
    found = np.full(len(parameters), np.nan)
    for row in np.flatnonzero(np.isfinite(parameters).all(axis=1)):
        slopes = _slopes(activity, model, parameters[row]) / spread[row][:, None]
        length = np.linalg.norm(slopes, axis=0)
        free = length > 1e-12 * length[0]
        scaled = slopes[:, free] / length[free]
        try:
            response = np.linalg.pinv(scaled, rcond=1e-9)[0] / length[0]
        except np.linalg.LinAlgError:
            continue
        if known[row]:
            own = activity.sd[row] / spread[row]
            found[row] = np.sum((response * own) ** 2)
            continue
        spare = activity.time.size - int(free.sum())
        if spare > 0:
            here = model.predict(parameters[[row]], activity.time, activity.rate)[0]
            residuals = (activity.value[row] - here) / spread[row]
            found[row] = np.sum(response**2) * np.sum(residuals**2) / spare
    return found


def _slopes(activity: PhysicalActivity, model: ActivityModel, point: np.ndarray) -> np.ndarray:
    """Derivatives (t, p) at a point, 0 for parameters at a bound: central differences."""
    low, high = model.bounds(activity.rate).T
    slopes = np.zeros((activity.time.size, model.size))
    scales = np.array([abs(point[0]), *(_scale(name, activity.rate) for name in model.names)])
    for column in range(model.size):
        if not low[column] < point[column] < high[column]:
            continue
        step = 1e-5 * max(abs(point[column]), 1e-3 * scales[column], np.finfo(float).tiny)
        step = min(step, (point[column] - low[column]) / 2, (high[column] - point[column]) / 2)
        ends = np.repeat(point[None], 2, axis=0)
        ends[:, column] += (step, -step)
        up, down = model.predict(ends, activity.time, activity.rate)
        slopes[:, column] = (up - down) / (2 * step)
    return slopes


def _scale(name: str, rate: float) -> float:
    return {"rate": rate, "share": 1.0, "time": 1 / rate}[name]
