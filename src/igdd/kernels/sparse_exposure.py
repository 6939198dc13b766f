"""Exposure from sparse and destructive sampling: a different animal at each time, or batches.

Every quantity here is a weighted sum of the means at each time, or a smooth function of them and of
the means of their logarithms, whose gradient gives the weights (delta method, Jaki and Wolfsegger
2012, doi:10.1002/sim.4386). `sparse_means.weighted_means` does the rest, whatever the design.

Values are (..., animal, time), NaN where an animal was not sampled; leading axes are trials of the
same design. Only the linear trapezoidal rule has such a variance. Intervals take Student's t, on
the log scale where values scatter by a factor; a normal quantile covers too little with
few animals.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.sparse_means import Sparse, sampled_by, weighted_means
from igdd.kernels.trapezoid import trapezoid_weights

Start = Literal["first_sample", "zero", "bolus"]
Spread = Literal["own", "pooled"]
TailMean = Literal["geometric", "arithmetic"]


class SparseExposure(NamedTuple):
    """Parameters of a sparse design by CDISC code; MRTHL is ln 2 times the mean residence time.

    CLO and VSSO are NaN without a dose.
    """

    AUCLST: Sparse
    AUCIFO: Sparse
    AUMCIFO: Sparse
    MRTIFO: Sparse
    MRTHL: Sparse
    LAMZ: Sparse
    LAMZHL: Sparse
    CLO: Sparse
    VSSO: Sparse


def area(
    values: np.ndarray, times: np.ndarray, start: Start = "first_sample", spread: Spread = "own"
) -> Sparse:
    """Area under the mean curve to the last time, linear trapezoidal rule.

    start   where it begins: "first_sample"; "zero", a concentration of 0 at time zero; "bolus", the
            first two mean logarithms carried back to time zero where they fall, else the first mean
    spread  "own": of each time; "pooled": one coefficient of variation for all times, for designs
            with a single animal at some of them

    >>> float(area(np.array([[1.0, 4.0], [3.0, 8.0]]), np.array([0.0, 2.0])).estimate)
    8.0
    """
    state = _state(values, times, "geometric")
    return _delta(state, _to_last(state, start)[0], spread)


def area_weights(
    values: np.ndarray, times: np.ndarray, start: Start = "first_sample"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The area, and the columns and weights whose weighted means vary as it does.

    Columns are the values and then their logarithms; the weights are the area's gradient by the
    means of both. For combinations of areas whose animals are the same.
    """
    state = _state(values, times, "geometric")
    function, _ = _to_last(state, start)
    return function.value, np.concatenate([state.values, state.logs], axis=-1), function.gradient


def exposure(
    values: np.ndarray,
    times: np.ndarray,
    *,
    tail: int = 3,
    tail_mean: TailMean = "geometric",
    dose: float = np.nan,
    infusion: float = 0.0,
    start: Start = "first_sample",
    spread: Spread = "own",
) -> SparseExposure:
    """Parameters to infinity with their standard errors, by the delta method.

    lambda_z is the slope through the last `tail` mean logarithms; the tail adds C / lambda_z with
    the last mean as observed. The mean and the mean logarithm of one time come from the same
    animals, and their covariance is part of the variance.

    tail_mean  "arithmetic" takes the logarithm of the mean, for tails with values at or below zero
    infusion   its duration, half of which is taken from the mean residence time

    NaN where the tail does not fall or has no logarithm.
    """
    state = _state(values, times, tail_mean)
    if not 2 <= tail <= state.times.size:
        raise InputError(f"a tail of {tail} times of {state.times.size}; expected 2 or more")
    functions = _to_infinity(state, tail, start, dose, infusion)
    return SparseExposure(*(_delta(state, one, spread) for one in functions))


class _State(NamedTuple):
    """What the quantities are functions of: means, and mean logarithms, at each time."""

    times: np.ndarray
    values: np.ndarray
    logs: np.ndarray
    means: np.ndarray
    heights: np.ndarray
    log_of_mean: bool


class _Function(NamedTuple):
    """A quantity, and its gradient by the means and then by the mean logarithms."""

    value: np.ndarray
    gradient: np.ndarray


def _state(values: np.ndarray, times: np.ndarray, tail_mean: TailMean) -> _State:
    times = np.asarray(times, dtype=float)
    values = np.asarray(values, dtype=float)
    sampled = sampled_by(values)
    ordered = times.ndim == 1 and times.size > 1 and (np.diff(times) > 0).all() and times[0] >= 0
    if not ordered or times.size != values.shape[-1]:
        raise InputError(
            f"{times.size} sampling times for {values.shape[-1]} columns; expected one each, two "
            "or more, ascending, none before the dose"
        )
    number = sampled.sum(axis=0)
    positive = values > 0
    logs = np.where(
        positive, np.log(np.where(positive, values, 1.0)), np.where(sampled, 0.0, np.nan)
    )
    known = (positive | ~sampled).all(axis=-2)
    means = np.where(sampled, values, 0.0).sum(axis=-2) / number
    if tail_mean == "arithmetic":
        heights = np.log(np.where(means > 0, means, np.nan))
    else:
        heights = np.where(known, np.where(sampled, logs, 0.0).sum(axis=-2) / number, np.nan)
    return _State(times, values, logs, means, heights, tail_mean == "arithmetic")


def _linear(
    state: _State, by_mean: np.ndarray | float = 0.0, by_log: np.ndarray | float = 0.0
) -> _Function:
    """A weighted sum of means, or of mean logarithms."""
    shape = state.means.shape
    gradient = np.concatenate(
        [np.broadcast_to(by_mean, shape), np.broadcast_to(by_log, shape)], axis=-1
    )
    parts = (
        np.where(weight != 0, weight * height, 0.0)
        for weight, height in ((by_mean, state.means), (by_log, state.heights))
    )
    return _Function(sum(part.sum(axis=-1) for part in parts), gradient)


def _of(value: np.ndarray, *parts: tuple[_Function, np.ndarray | float]) -> _Function:
    """A function of others: its value, and each with the derivative by it."""
    gradient = sum(np.asarray(slope)[..., None] * part.gradient for part, slope in parts)
    return _Function(np.asarray(value), np.asarray(gradient))


def _to_last(state: _State, start: Start) -> tuple[_Function, _Function]:
    """Area and first moment from the start to the last time."""
    weights = trapezoid_weights(state.times)
    moment = _linear(state, by_mean=weights * state.times)
    if start == "first_sample":
        return _linear(state, by_mean=weights), moment
    first = state.times[0]
    weights[0] += first / 2
    area_ = _linear(state, by_mean=weights)
    # At time zero there is no first moment, only the triangle up to the first sample.
    moment = _linear(state, by_mean=weights * state.times)
    if start == "zero" or first == 0:
        return area_, moment
    lever = first / (state.times[1] - first)
    back = np.zeros(state.times.size)
    back[:2] = 1 + lever, -lever
    line, one = _linear(state, by_log=back), np.eye(state.times.size)[0]
    falls = state.heights[..., 0] > state.heights[..., 1]
    initial = np.where(falls, np.exp(np.where(falls, line.value, 0.0)), state.means[..., 0])
    carried = _of(
        initial, (line, np.where(falls, initial, 0.0)), (_linear(state, by_mean=one), ~falls * 1.0)
    )
    return _of(area_.value + first / 2 * initial, (area_, 1.0), (carried, first / 2)), moment


def _to_infinity(
    state: _State, tail: int, start: Start, dose: float, infusion: float
) -> tuple[_Function, ...]:
    """The quantities of `SparseExposure`, in its order, with their gradients."""
    auc, aumc = _to_last(state, start)
    line = np.zeros(state.times.size)
    line[-tail:] = state.times[-tail:] - state.times[-tail:].mean()
    rate = _linear(state, by_log=-line / (line @ line))
    fall = np.where(rate.value > 0, rate.value, np.nan)
    last = _linear(state, by_mean=np.eye(state.times.size)[-1])
    end, beyond = state.times[-1], last.value / fall
    whole = _of(auc.value + beyond, (auc, 1.0), (last, 1 / fall), (rate, -beyond / fall))
    lever = (end + 1 / fall) / fall
    turn = -beyond * (end + 2 / fall) / fall
    moment = _of(aumc.value + last.value * lever, (aumc, 1.0), (last, lever), (rate, turn))
    mean = moment.value / whole.value
    residence = _of(mean - infusion / 2, (moment, 1 / whole.value), (whole, -mean / whole.value))
    clearance = _of(dose / whole.value, (whole, -dose / whole.value**2))
    volume = _of(
        clearance.value * residence.value,
        (clearance, residence.value),
        (residence, clearance.value),
    )
    ln2 = np.log(2)
    return (
        auc,
        whole,
        moment,
        residence,
        _of(ln2 * residence.value, (residence, ln2)),
        _of(fall, (rate, 1.0)),
        _of(ln2 / fall, (rate, -ln2 / fall**2)),
        clearance,
        volume,
    )


def _delta(state: _State, function: _Function, spread: Spread) -> Sparse:
    """Standard error of a function of the means, from its gradient."""
    count = state.times.size
    by_mean, by_log = function.gradient[..., :count], function.gradient[..., count:]
    if state.log_of_mean:
        by_mean, by_log = by_mean + by_log / state.means, np.zeros_like(by_log)
    if spread == "pooled":
        found = _pooled(state, by_mean, by_log)
    else:
        both = np.concatenate([state.values, state.logs], axis=-1)
        found = weighted_means(both, np.concatenate([by_mean, by_log], axis=-1))
    known = np.isfinite(function.value)
    return Sparse(
        np.asarray(function.value),
        np.where(known, found.standard_error, np.nan),
        np.where(known, found.freedom, np.nan),
    )


def _pooled(state: _State, by_mean: np.ndarray, by_log: np.ndarray) -> Sparse:
    """Variance from one log-normal scatter s of all times, where each time has its own animals.

    One value then has the variance mean^2 (exp(s^2) - 1), its logarithm s^2, the two the covariance
    mean s^2; s^2 is the mean square within times, with its degrees of freedom.
    """
    sampled = sampled_by(state.values)
    number = sampled.sum(axis=0)
    if (sampled.sum(axis=1) > 1).any():
        raise InputError(
            "a pooled coefficient of variation needs one sample per animal, but an animal has "
            "several; expected spread='own' for batches"
        )
    freedom = float((number - 1).sum())
    known = ((state.values > 0) | ~sampled).all(axis=(-2, -1))
    centre = np.where(sampled, state.logs, 0.0).sum(axis=-2) / number
    squares = np.where(sampled, state.logs - centre[..., None, :], 0.0) ** 2
    scatter = squares.sum(axis=(-2, -1)) / freedom if freedom else np.full(known.shape, np.nan)
    scatter = np.where(known, scatter, np.nan)[..., None]
    growth = by_mean * state.means
    variance = growth**2 * np.expm1(scatter) + (2 * growth + by_log) * by_log * scatter
    error = np.sqrt((variance / number).sum(axis=-1))
    return Sparse(error * np.nan, error, np.where(known & (freedom > 0), freedom, np.nan))
