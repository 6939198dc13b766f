"""Fits a kinetic model to the curves of regions: parameters with covariance, flags and AICc.

A model's own search or closed form gives the start, or the answer where it is final; other models
are refined on `predict` by Levenberg-Marquardt. Macro-parameters follow by the delta method.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import catalog
from igdd.declare import Model
from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.curve_slopes import central_width
from igdd.kinetics import Fit, InputCurve, Integration, Solution, Status
from igdd.stages import frame_noise
from igdd.stages import protocol as doors
from igdd.stages.fit_sets import joined
from igdd.stages.fit_task import (
    Task,
    check_size,
    chosen_frames,
    enhanced_early,
    shared_at_bound,
    shared_names,
    solve,
    with_shared,
)
from igdd.stages.profile_limits import with_limits, with_open_flagged
from igdd.types import Curves, Decay

if TYPE_CHECKING:
    import pandas as pd

Inputs = Mapping[str, InputCurve] | str | Path | Sequence[str | Path]


def fit(
    model: str | Model,
    curves: Curves | str | Path | Sequence[Curves | str | Path],
    inputs: Inputs | None = None,
    *,
    start: str | float | None = None,
    end: str | float | None = None,
    hold: Mapping[str, str | float] | None = None,
    free: Iterable[str] = (),
    shared: Iterable[str] | None = None,
    sd: frame_noise.Spread | None = None,
    integration: Integration | None = None,
    unit: str | None = None,
    shown: str | None = None,
    profile: bool = False,
    **options: Any,
) -> Fit:
    """A model fitted to the curve of every region, each on its own.

    curves       or several sets, such as one for each bed of a scan, each with frames of its own
                 that count from the same zero; the frames of the fit are those of all sets, one set
                 after the other, and a shared parameter is that of a set
    inputs       role (plasma, blood, portal, reference) -> curve, or a table of blood, or several
    start, end   frames used lie between them ("20 min", or s); the start is t* of a graphical model
    hold         parameter -> text with a unit, or a number in its display unit
    free         parameters that the model holds unless told otherwise, such as delay
    shared       parameters with one value for all curves: the mean of what each curve says, by its
                 inverse variance. None: the delay of a tissue model where an input is of blood
                 samples, whose clock is their own
    sd           standard deviations (t,) or (n, t), infinite for a frame that is not to be used;
                 "counts": as counting leaves them (`counts_sd`); "relative", "root": in proportion
                 to each value or its root; "equal": all frames alike; "noise": what is known of
                 the curves' noise; None: that, else all frames alike
    unit         of the curves' table, where it does not say
    shown        concentration in whose units volumes and clearances are given, where it is not that
                 of the curves: mg/L for curves in g/mL
    profile      whether limits of the parameters are found by profile likelihood
    options      the model's own, as its declaration names them: text with a unit, or a number in SI

    Standard deviations say how frames compare; the residuals say how large the noise is.
    """
    declared: Model = catalog.find("models", model) if isinstance(model, str) else model
    if not isinstance(curves, Curves | str | Path):
        _check_several(curves)
        words: dict[str, Any] = options | {
            "start": start, "end": end, "hold": hold, "free": tuple(free), "shared": shared,
            "sd": sd, "integration": integration, "unit": unit, "shown": shown, "profile": profile,
        }  # fmt: skip
        return joined([fit(declared, one, inputs, **words) for one in curves])
    curves = curves if isinstance(curves, Curves) else _read_curves(Path(curves), unit)
    curves = frame_noise.heard(sd, doors.in_percent(declared, curves))
    doors.check_corrected(declared, curves.decay)
    window = {"start": doors.seconds(start, "start"), "end": doors.seconds(end, "end")}
    settings = {name: one for name, one in window.items() if doors.has_option(declared, name)}
    declared, chosen = doors.arranged(
        declared, curves.unit, settings | options, shown=shown or curves.stated or None
    )
    held = doors.held_values(declared, {} if hold is None else hold, free)
    frames, used, kept = chosen_frames(declared, curves.frames, window, integration)
    protocol = doors.build(
        declared,
        frames,
        inputs_by_role(inputs, curves.decay),
        curves.unit,
        held=held,
        options=chosen,
        integration=integration,
    )
    # What compares frames does not say how large the noise of a figure is.
    known = not isinstance(sd, str) or sd == "noise"
    spread = frame_noise.deviations(sd, curves) if known or not declared.describes else None
    spread = None if spread is None else spread[..., kept]
    values = np.asarray(curves.values[:, kept], dtype=float)
    task = Task(model=declared, protocol=protocol, values=values, used=used, sd=spread)
    check_size(declared, held, task.frames_used)
    if "dose" in chosen and curves.frames.zero.kind == "scan_start":
        flags = tuple((*own, "dose_time_assumed") for own in curves.flags)
        curves = replace(curves, flags=flags)
    said = {*(hold or {}), *free}
    names = shared_names(declared, shared, said, protocol.inputs)
    task, notes = with_shared(task, names)
    # Values beyond measure overflow on the way; what comes of them is flagged.
    with np.errstate(over="ignore", invalid="ignore"):
        made = _finished(task, with_open_flagged(solve(task), task), curves, kept, notes)
    return with_limits(made, task) if profile else made


def _check_several(curves: Any) -> None:
    """Refuse what is neither curves nor a list of them: a DataFrame would be its column names."""
    parts = curves if isinstance(curves, list | tuple) else (curves,)
    for one in parts:
        if not isinstance(one, Curves | str | Path):
            raise InputError(
                f"curves are a {type(one).__name__}; expected the path of a table, igdd.Curves, or "
                "a list of them, one for each bed"
            )


def _read_curves(path: Path, unit: str | None) -> Curves:
    from igdd.io import tac_table

    return tac_table.read(path, unit=unit)


def inputs_by_role(inputs: Inputs | None, decay: Decay | None) -> Mapping[str, InputCurve]:
    """The inputs, read where their blood tables are named, of the nuclide of the tissue's curves
    and corrected to the instant that these are; what is neither is refused."""
    expected = "such as igdd.read_inputs gives by role, or the path of a blood table, or several"
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        for role, curve in inputs.items():
            if not isinstance(curve, InputCurve):
                found = type(curve).__name__
                raise InputError(f"input {role!r} is a {found}; expected an InputCurve, {expected}")
        return {role: curve.corrected_as(decay) for role, curve in inputs.items()}
    from igdd.stages.inputs import read_inputs

    paths = (inputs,) if isinstance(inputs, str | Path) else inputs
    if not (isinstance(paths, list | tuple) and all(isinstance(one, str | Path) for one in paths)):
        raise InputError(f"inputs are a {type(inputs).__name__}; expected curves, {expected}")
    known: dict[str, Any] = {} if decay is None else {"half_life": decay.half_life}
    read = read_inputs(paths, **known)
    return {role: curve.corrected_as(decay) for role, curve in read.items()}


def _finished(
    task: Task,
    solution: Solution,
    curves: Curves,
    kept: np.ndarray,
    notes: Mapping[str, float],
) -> Fit:
    """Fitted and derived parameters with covariance, flags, prediction over all frames, AICc."""
    model = task.model
    declared = (*model.parameters, *model.derived)
    values, covariance = _derived(model, solution)
    fitted = not model.describes
    free = task.free & fitted
    predicted = solution.predicted
    if predicted is None:
        predicted = model.predict(solution.parameters, task.protocol)
    sd = task.deviations()
    spread = judge.deviations(sd, task.values.shape)
    used = np.isfinite(predicted) & np.isfinite(spread)
    residuals = np.where(used, (task.values - np.where(used, predicted, 0.0)) / spread, 0.0)
    squares = np.where(used.any(axis=1) & fitted, np.sum(residuals**2, axis=1), np.nan)
    status = np.where(
        judge.residual_runs(task.values, np.where(used, predicted, np.nan), sd),
        solution.status | Status.RESIDUAL_RUNS,
        solution.status,
    )
    if shared_at_bound(model, notes):
        status = status | Status.AT_BOUND
    early = enhanced_early(model, task.protocol, task.values)
    status = np.where(early, status | Status.ENHANCED_BEFORE_INPUT, status)
    if not model.closed:
        # The sum of what is known can be unknown: VT, where k4 nears 0.
        low, known = np.zeros((2, len(declared)))
        for column, one in enumerate(model.parameters):
            low[column], known[column] = one.bounds[0], one.known * doors.si_factor(one.unit)
        unsure = judge.poorly_identified(values, covariance, low=low, known=known)
        unsure &= np.isfinite(values).any(axis=1)
        status = np.where(unsure, status | Status.POORLY_IDENTIFIED, status)
    _forget_bounds(model, free, values, covariance)
    shown = np.full(curves.values.shape, np.nan)
    shown[:, kept] = np.where(used, predicted, np.nan)
    everywhere = np.full(curves.values.shape, np.nan)
    everywhere[:, kept] = spread
    return Fit(
        model=model.name,
        names=curves.names,
        parameters=tuple(one.name for one in declared),
        display=tuple(one.unit for one in declared),
        values=values,
        covariance=covariance,
        predicted=shown,
        aicc=judge.aicc(squares, used.sum(axis=1), int(free.sum())),
        freedom=used.sum(axis=1) - int(free.sum()),
        flags=_flags(status, curves, task),
        sd=None if sd is None else everywhere,
        notes=({**solution.notes, **notes},) * len(curves.names),
    )


def _flags(status: np.ndarray, curves: Curves, task: Task) -> tuple[tuple[str, ...], ...]:
    of_inputs = {flag for curve in task.protocol.inputs.values() for flag in curve.flags}
    return tuple(
        tuple(sorted({*Status(int(bits)).flags, *own, *of_inputs}))
        for bits, own in zip(status, curves.flags, strict=True)
    )


def _derived(model: Model, solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Fitted and derived parameters (n, p + d) and their covariance, by the delta method."""
    fitted, covariance = solution.parameters, solution.covariance
    if model.derive is None:
        return np.array(fitted), np.array(covariance)
    size = fitted.shape[1]
    with np.errstate(all="ignore"):
        derived = model.derive(fitted)
        slopes = np.empty((len(fitted), derived.shape[1], size))
        for j in range(size):
            # Where nothing varies no slope is asked for: 0 times whatever it is.
            width = central_width(fitted[:, j])
            ends = [fitted.copy(), fitted.copy()]
            ends[0][:, j] += width
            ends[1][:, j] -= width
            slope = (model.derive(ends[0]) - model.derive(ends[1])) / (2 * width)[:, None]
            slopes[:, :, j] = np.where(covariance[:, j, j, None] == 0, 0.0, slope)
        across = slopes @ covariance
        corner = across @ np.swapaxes(slopes, 1, 2)
    whole = np.block([[covariance, np.swapaxes(across, 1, 2)], [across, corner]])
    lost = ~np.isfinite(derived)
    unknown = np.concatenate([np.zeros(fitted.shape, dtype=bool), lost], axis=1)
    whole[unknown[:, :, None] | unknown[:, None, :]] = np.nan
    return np.concatenate([fitted, derived], axis=1), whole


def _forget_bounds(
    model: Model, free: np.ndarray, values: np.ndarray, covariance: np.ndarray
) -> None:
    """NaN for the variance of a parameter at its bound, where it has no standard error, and of what
    is derived of nothing else that varies."""
    size = len(model.parameters)
    fitted, variance = values[:, :size], np.einsum("njj->nj", covariance)
    unknown = np.zeros(values.shape, dtype=bool)
    unknown[:, :size] = stuck = free & np.isfinite(fitted) & (variance[:, :size] == 0)
    if model.derive is not None:
        for column in np.flatnonzero(stuck.any(axis=0)):
            moved = fitted.copy()
            moved[:, column] += central_width(fitted[:, column])
            with np.errstate(all="ignore"):
                follows = model.derive(moved) != values[:, size:]
            unknown[:, size:] |= stuck[:, [column]] & follows & (variance[:, size:] == 0)
    for row, column in zip(*np.nonzero(unknown), strict=True):
        covariance[row, column, :] = covariance[row, :, column] = np.nan


def compare_models(fits: Sequence[Fit]) -> pd.DataFrame:
    """AICc of several models of the same curves: difference to the best of each region, and
    Akaike weight (the probability, among these, of being the nearest to the truth)."""
    import pandas as pd

    if not fits or any(one.names != fits[0].names for one in fits):
        raise InputError("models can be compared on the same regions only; expected fits of them")
    for one in fits:
        if not np.array_equal(np.isfinite(one.predicted), np.isfinite(fits[0].predicted)):
            raise InputError(
                f"models {fits[0].model} and {one.model} were fitted to different frames; "
                "expected the same, or their AICc do not compare"
            )
    aicc = np.stack([one.aicc for one in fits])
    known = np.isfinite(aicc)
    best = np.min(np.where(known, aicc, np.inf), axis=0)
    difference = np.where(known, aicc - np.where(np.isfinite(best), best, 0.0), np.nan)
    likelihood = np.where(known, np.exp(-np.where(known, difference, 0.0) / 2), 0.0)
    total = np.maximum(likelihood.sum(axis=0), np.finfo(float).tiny)
    rows = [
        {
            "region": name,
            "model": one.model,
            "aicc": aicc[number, row],
            "difference": difference[number, row],
            "weight": likelihood[number, row] / total[row],
        }
        for row, name in enumerate(fits[0].names)
        for number, one in enumerate(fits)
    ]
    return pd.DataFrame(rows)
