"""Simultaneous estimation: an input of known shape and unknown scale, found from all regions.

An image-derived or population input has the right shape and a doubtful height. All regions see the
same one: its scale is the one with which their curves, each with its own best parameters, and a
blood sample or two are followed most closely (`igdd.kernels.input_scale`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import FitError, InputError
from igdd.kinetics import Fit, InputCurve, Status
from igdd.stages.fit import fit
from igdd.types import Curves
from igdd.uncertainty import Estimate

# The scale is looked for within this factor of the input as given.
WIDEST = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ScaledInput:
    """The inputs at the scale found, the scale, its flags, and the regions' fit with it."""

    inputs: Mapping[str, InputCurve]
    scale: Estimate
    flags: tuple[str, ...]
    fit: Fit


def simultaneous_input(
    model: str,
    curves: Curves | str | Path,
    inputs: Mapping[str, InputCurve],
    samples: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    **how: Any,
) -> ScaledInput:
    """Scale of the inputs common to all regions of `curves`, with the model fitted to each.

    samples  times (m,) in s on the curves' clock, values (m,) and standard deviations (m,) in the
             unit of the inputs, of the blood where there is such an input, else of the plasma
    how      what `igdd.fit` takes: hold, free, start, end, sd, unit

    Without a sample the scale is determined by the share of blood in the tissue alone; where that
    leaves it open, it carries the flag poorly_identified.
    """
    from igdd.kernels.input_scale import estimate

    first = fit(model, curves, inputs, **how)
    used = np.isfinite(first.predicted)
    values = _values(curves, how.get("unit"))
    spread = _spread(first, values, used)
    role = "blood" if "blood" in inputs else "plasma"
    if role not in inputs:
        raise InputError(
            f"inputs are {', '.join(inputs) or 'none'}; expected plasma or blood, whose scale is "
            "to be found"
        )

    def regions(parameters: np.ndarray) -> np.ndarray:
        made = fit(model, curves, _scaled(inputs, float(parameters[0])), **how)
        return np.where(used, (values - made.predicted) / spread, np.nan)

    def blood(parameters: np.ndarray) -> np.ndarray:
        curve, times = inputs[role], _checked(samples, inputs[role]).time
        return np.asarray(parameters[0] * np.interp(times, curve.time, curve.values))

    found = estimate(
        regions,
        blood,
        None if samples is None else _checked(samples, inputs[role]),
        np.array([1.0]),
        np.array([[1 / WIDEST, WIDEST]]),
    )
    scale = float(found.parameters[0])
    sd = float(np.sqrt(found.covariance[0, 0]))
    scaled = _scaled(inputs, scale)
    return ScaledInput(
        inputs=scaled,
        scale=Estimate(value=scale, sd=sd if 0 < sd < np.inf else float("nan")),
        flags=Status(found.status).flags,
        fit=fit(model, curves, scaled, **how),
    )


def _scaled(inputs: Mapping[str, InputCurve], scale: float) -> dict[str, InputCurve]:
    return {role: replace(one, values=one.values * scale) for role, one in inputs.items()}


def _values(curves: Curves | str | Path, unit: str | None) -> np.ndarray:
    if isinstance(curves, Curves):
        return np.asarray(curves.values, dtype=float)
    from igdd.io import tac_table

    return np.asarray(tac_table.read(Path(curves), unit=unit).values, dtype=float)


def _spread(first: Fit, values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Standard deviations (n, t): those of the fit at the height of its own residuals."""
    relative = np.ones_like(values) if first.sd is None else np.asarray(first.sd)
    squares = np.where(used, ((values - first.predicted) / relative) ** 2, 0.0).sum(axis=1)
    freedom = np.asarray(first.freedom, dtype=float)
    usable = (freedom > 0) & np.isfinite(squares) & (squares > 0)
    if not usable.any():
        raise FitError(
            "no region has more frames than parameters and a residual: how closely the regions are "
            "to be followed is not known; expected more frames, or fewer parameters"
        )
    height = np.sqrt(squares[usable].sum() / freedom[usable].sum())
    return np.asarray(relative * height)


def _checked(samples: Any, curve: InputCurve) -> Any:
    """The samples as the kernel takes them, after checking them against the curve."""
    from igdd.kernels.input_scale import Samples

    time, values, sd = (np.atleast_1d(np.asarray(part, dtype=float)) for part in samples)
    if not time.shape == values.shape == sd.shape or time.size == 0:
        raise InputError(
            f"blood samples: {time.size} times, {values.size} values and {sd.size} standard "
            "deviations; expected one of each for every sample"
        )
    if not (np.isfinite(time).all() and np.isfinite(values).all()):
        raise InputError("blood samples: a time or a value is not finite; expected numbers")
    outside = (time < curve.time[0]) | (time > curve.time[-1])
    if outside.any():
        raise InputError(
            f"blood sample at {time[outside][0]:g} s; expected one between {curve.time[0]:g} and "
            f"{curve.time[-1]:g} s, where the input is known"
        )
    return Samples(time, values, sd)
