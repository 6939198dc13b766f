"""How far a fit's parameters can go, by profile likelihood: each with all others fitted anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from igdd.errors import StudyError
from igdd.kernels import judge
from igdd.kinetics import Fit, Solution, Status

if TYPE_CHECKING:
    from igdd.stages.fit_task import Task

# Families whose closed solutions are least squares of `predict`; a graphical line is not.
LIKELY = ("clearance", "release")
# The family that is asked: within minutes, exchange may outrun delivery, or show no way back.
SHORT_SCANS = "contrast"
# How much larger a value is asked for. Where the curve is straight in the parameter, the 95 %
# interval reaches three times the value just where its standard error exceeds the value.
TIMES = 3.0
# Standard error over value below which nobody asks.
CERTAIN = 0.1


def with_limits(made: Fit, task: Task) -> Fit:
    """The fit with 95 % limits of every fitted parameter, and a flag where the data set none."""
    model = task.model
    if model.closed and model.family not in LIKELY:
        raise StudyError(
            f"model {model.name} is solved by regression on transformed curves and has no "
            "likelihood to profile; leave --profile out"
        )
    free = task.free
    limits = np.full((*made.values.shape, 2), np.nan)
    flags = list(made.flags)
    sd = task.deviations()
    spread = judge.deviations(sd, task.values.shape)
    for row, values in enumerate(task.values):
        parameters = made.values[row, : free.size]
        if not np.isfinite(parameters).all():
            continue
        ends = _limits(task, values, None if sd is None else spread[row], parameters)
        limits[row, : free.size] = ends
        if np.isinf(ends[free]).any():
            flags[row] = tuple(sorted({*flags[row], "profile_unbounded"}))
    return replace(made, limits=limits, flags=tuple(flags))


def _limits(
    task: Task, values: np.ndarray, sd: np.ndarray | None, parameters: np.ndarray
) -> np.ndarray:
    """Limits (p, 2) of one curve's parameters; NaN for those that are held."""
    from igdd.kernels.profile_likelihood import Situation, fitted_interval

    situation = Situation(
        predict=lambda trial: np.asarray(task.model.predict(trial, task.protocol)),
        values=values,
        sd=sd,
        parameters=parameters,
        bounds=task.bounds,
        free=task.free,
    )
    limits = np.full((task.free.size, 2), np.nan)
    for column in np.flatnonzero(task.free):
        found = fitted_interval(situation, int(column))
        limits[column] = found.low, found.high
    return limits


def with_open_flagged(solution: Solution, task: Task) -> Solution:
    """The solution, poorly identified where a parameter may as well be three times its value.

    So it is where the exchange is faster than the delivery, or the scan too short to see the agent
    leave: once the parameter is large, the curve hardly depends on it, but its slope at the
    estimate, and so the standard error, does not tell.
    """
    model = task.model
    if model.family != SHORT_SCANS or model.closed or solution.predicted is None:
        return solution
    bounds, free = task.bounds, task.free
    status = np.array(solution.status)
    error = np.sqrt(np.einsum("npp->np", solution.covariance))
    for column in np.flatnonzero(free & (bounds[:, 0] >= 0)).tolist():
        value = solution.parameters[:, column]
        asked = (status & (Status.NOT_FITTED | Status.POORLY_IDENTIFIED)) == 0
        asked &= (error[:, column] > CERTAIN * value) & (TIMES * value <= bounds[column, 1])
        rows = np.flatnonzero(asked)
        if rows.size:
            open_ = _fits_as_well(task, solution, rows, column)
            status[rows[open_]] |= int(Status.POORLY_IDENTIFIED)
    return replace(solution, status=status)


def _fits_as_well(
    task: Task,
    solution: Solution,
    rows: np.ndarray,
    column: int,
) -> np.ndarray:
    """Whether curves of `rows` are followed as well, to 95 %, with the parameter of a column held
    at `TIMES` its value."""
    from igdd.kernels.levenberg import fit_curves
    from igdd.kernels.profile_likelihood import rise

    free = task.free
    spread = judge.deviations(task.deviations(), task.values.shape)[rows]
    used = np.isfinite(spread)
    values = np.where(used, task.values[rows], 0.0)
    others = free & (np.arange(free.size) != column)
    starts = solution.parameters[rows]
    starts[:, column] *= TIMES
    fitted = fit_curves(
        lambda trial: np.asarray(task.model.predict(trial, task.protocol)),
        values,
        spread,
        starts[:, None],
        np.where(others[:, None], task.bounds, [-np.inf, np.inf]),
        free=others,
    )
    before, after = (
        np.sum(np.where(used, (values - predicted) / spread, 0.0) ** 2, axis=1)
        for predicted in (np.asarray(solution.predicted)[rows], fitted.predicted)
    )
    frames = used.sum(axis=1)
    limits = np.array([rise(int(count), int(free.sum())) for count in frames])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(frames * np.log(after / before) < limits)
