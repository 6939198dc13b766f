"""Limits of a fit's parameters by profile likelihood, each with all others fitted anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from igdd.errors import StudyError
from igdd.kernels import judge
from igdd.kinetics import Fit
from igdd.stages.protocol import si_factor

if TYPE_CHECKING:
    from igdd.stages.fit_task import Task

# Families whose closed solutions are least squares of `predict`; a graphical line is not.
LIKELY = ("clearance", "release")


def with_limits(made: Fit, task: Task) -> Fit:
    """The fit with 95 % limits of every fitted parameter, and a flag where the data set none."""
    model = task.model
    if model.closed and model.family not in LIKELY:
        raise StudyError(
            f"model {model.name} is solved by regression on transformed curves and has no "
            "likelihood to profile; leave --profile out"
        )
    factors = np.array([si_factor(one.unit) for one in model.parameters])
    bounds = np.array([one.bounds for one in model.parameters]) * factors[:, None]
    free = np.array([one.name not in task.protocol.held for one in model.parameters])
    limits = np.full((*made.values.shape, 2), np.nan)
    flags = list(made.flags)
    sd = task.deviations()
    spread = judge.deviations(sd, task.values.shape)
    for row, values in enumerate(task.values):
        parameters = made.values[row, : free.size]
        if not np.isfinite(parameters).all():
            continue
        open_ = _row(task, (values, None if sd is None else spread[row]), parameters,
                     (bounds, free))  # fmt: skip
        limits[row, : free.size] = open_
        if np.isinf(open_[free]).any():
            flags[row] = tuple(sorted({*flags[row], "profile_unbounded"}))
    return replace(made, limits=limits, flags=tuple(flags))


def _row(
    task: Task,
    curve: tuple[np.ndarray, np.ndarray | None],
    parameters: np.ndarray,
    space: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Limits (p, 2) of one curve's parameters; NaN for those that are held."""
    from igdd.kernels.profile_likelihood import Situation, fitted_interval

    bounds, free = space
    situation = Situation(
        predict=lambda trial: np.asarray(task.model.predict(trial, task.protocol)),
        values=curve[0],
        sd=curve[1],
        parameters=parameters,
        bounds=bounds,
        free=free,
    )
    limits = np.full((free.size, 2), np.nan)
    for column in np.flatnonzero(free):
        found = fitted_interval(situation, int(column))
        limits[column] = found.low, found.high
    return limits
