"""Figures of a curve without a model: initial areas, peak, time to it, wash-in, wash-out.

Nothing is fitted and no input is needed (CAPLEX Q.CD1.002 and .010 to .013). With the bolus
arriving at BAT and the baseline f0, the mean of the frames before it (0, that of a concentration,
without any),

    iauc_T        int from BAT to BAT + T of f - f0, T = 60, 90 and 120 s
    peak          highest value after BAT; on average too high by the noise
    time_to_peak  of the peak's frame or sample, after BAT
    wash_in       (peak - f0) / time_to_peak
    wash_out      (peak - last value) / the time between them: positive where the curve falls,
                  the other way round than CAPLEX has it

All are in the curves' own unit, times s or over s. BAT is the option `arrival`, on the clock of
the frames, or the administration where times count from there; it is never looked for in the
curve. What a curve does not show is NaN, with the flag `incomplete`: an area that it ends before,
the wash-out of one that still rises. Standard errors follow from the curves' known noise (`sd` in
their unit); time_to_peak has none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd.declare import Model, Option, Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver, Status
from igdd.models._parameters import UNBOUNDED

PARAMETERS = (
    Parameter("iauc_60", "{curve}.s", UNBOUNDED, "Q.CD1.013", "area of the first 60 s"),
    Parameter("iauc_90", "{curve}.s", UNBOUNDED, "Q.CD1.013", "area of the first 90 s"),
    Parameter("iauc_120", "{curve}.s", UNBOUNDED, "Q.CD1.013", "area of the first 120 s"),
    Parameter("peak", "{curve}", UNBOUNDED, "Q.CD1.002", "highest value"),
    Parameter("time_to_peak", "s", code="Q.CD1.010", help="from arrival to the peak"),
    Parameter("wash_in", "{curve}/s", UNBOUNDED, "Q.CD1.011", "mean slope from arrival to peak"),
    Parameter("wash_out", "{curve}/s", UNBOUNDED, "Q.CD1.012", "mean fall from peak to end"),
)
# Where time_to_peak stands among the figures that are linear in the curve.
TIME = 4


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The broken line (n, t) with these figures: from 0 by wash_in to the peak, by wash_out on."""
    time = protocol.frames.middle - _arrival(protocol)
    rise, wash_in, wash_out = (parameters[:, column, None] for column in (TIME, TIME + 1, TIME + 2))
    up, down = np.clip(time, 0, rise), np.maximum(time - rise, 0)
    return np.asarray(wash_in * up - np.nan_to_num(wash_out) * down)


def prepare(protocol: Protocol) -> Solver:
    """Solver of many curves at once: no more than sums over their frames.

    A frame whose standard deviation is infinite is left out, as if it had not been taken.
    """
    if protocol.held:
        name = next(iter(protocol.held))
        raise InputError(f"{name} is held, but nothing is fitted; leave it out")
    _arrival(protocol)

    def solve(curves: np.ndarray, sd: np.ndarray | None = None) -> Solution:
        if sd is None or np.isfinite(sd).all():
            return _solve(protocol, curves, sd)
        sd = np.broadcast_to(sd, curves.shape)
        patterns, of = np.unique(np.isfinite(sd), axis=0, return_inverse=True)
        parts = [
            _solve(_only(protocol, used), curves[rows][:, used], sd[rows][:, used])
            for used, rows in ((patterns[one], of == one) for one in range(len(patterns)))
        ]
        return _put_together(parts, patterns, of)

    return solve


def _solve(protocol: Protocol, curves: np.ndarray, sd: np.ndarray | None) -> Solution:
    from igdd.kernels.semi_quantitative import figures, plan, variances

    frames, arrival = protocol.frames, _arrival(protocol)
    curves = np.asarray(curves, dtype=float)
    # A curve of zeros, as of a region outside the image, has no peak either.
    whole = np.isfinite(curves).all(axis=1) & curves.any(axis=1)
    if not whole.all():
        curves = np.where(whole[:, None], curves, np.nan)
    found = plan((frames.start, frames.end, protocol.integration != "exact"), curves, arrival)
    rise = np.where(whole, found.rise, np.nan)
    parameters = np.insert(figures(found, curves), TIME, rise, axis=1)
    covariance = np.full((len(curves), len(PARAMETERS), len(PARAMETERS)), np.nan)
    if sd is not None:
        spread = variances(found, np.atleast_2d(np.asarray(sd) ** 2))
        spread[~whole] = np.nan
        diagonal = np.arange(len(PARAMETERS))
        covariance[:, diagonal, diagonal] = np.insert(spread, TIME, np.nan, axis=1)
    lost = ~np.isfinite(parameters).all(axis=1)
    return Solution(
        parameters=parameters,
        covariance=covariance,
        status=np.where(~whole, Status.NOT_FITTED, np.where(lost, Status.INCOMPLETE, 0)),
        predicted=curves,
        notes={"arrival": arrival},
    )


def _only(protocol: Protocol, used: np.ndarray) -> Protocol:
    """The protocol of those frames (t,) that are used."""
    if not used.any():
        raise InputError("no frame has a finite standard deviation; expected one to measure")
    frames = protocol.frames
    kept = replace(frames, start=frames.start[used], duration=frames.duration[used])
    return replace(protocol, frames=kept)


def _put_together(parts: list[Solution], patterns: np.ndarray, of: np.ndarray) -> Solution:
    """One solution of curves whose frames were used by pattern (m, t), the pattern `of` (n,)."""
    count, size = of.size, len(PARAMETERS)
    parameters, covariance = np.empty((count, size)), np.empty((count, size, size))
    status, predicted = np.empty(count, dtype=int), np.full((count, patterns.shape[1]), np.nan)
    for number, part in enumerate(parts):
        rows = of == number
        parameters[rows], covariance[rows], status[rows] = (
            part.parameters, part.covariance, part.status,
        )  # fmt: skip
        predicted[np.ix_(rows, patterns[number])] = part.predicted
    return Solution(
        parameters=parameters,
        covariance=covariance,
        status=status,
        predicted=predicted,
        notes=parts[0].notes,
    )


def _arrival(protocol: Protocol) -> float:
    """When the bolus arrives, in s on the frames' clock: as said, else the administration."""
    said = protocol.options.get("arrival")
    if said is not None:
        return float(said)
    if protocol.frames.zero.kind != "administration":
        raise InputError(
            "the frames' times count from the scan's start, and nobody says when the bolus "
            "arrived; give the option arrival on that clock, such as '30 s'"
        )
    return 0.0


MODELS = (
    Model(
        "semi_quantitative",
        predict,
        parameters=PARAMETERS,
        help="initial areas, peak, time to peak, wash-in and wash-out of a curve",
        prepare=prepare,
        closed=True,
        describes=True,
        voxelwise=True,
        options=(
            Option(
                "arrival",
                "s",
                default=None,
                help="when the bolus arrives, on the clock of the frames; absent: at the "
                "administration",
            ),
        ),
        reference="CAPLEX Q.CD1.002, .010 to .013, doi:10.1002/mrm.29840",
        family="contrast",
        also=("IAUC", "IAUGC"),
    ),
)
