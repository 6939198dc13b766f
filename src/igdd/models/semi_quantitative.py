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

import numpy as np

from igdd.declare import Model, Option, Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver, Status

INFINITE = (-np.inf, np.inf)
PARAMETERS = (
    Parameter("iauc_60", "{curve}.s", INFINITE, "Q.CD1.013", "area of the first 60 s"),
    Parameter("iauc_90", "{curve}.s", INFINITE, "Q.CD1.013", "area of the first 90 s"),
    Parameter("iauc_120", "{curve}.s", INFINITE, "Q.CD1.013", "area of the first 120 s"),
    Parameter("peak", "{curve}", INFINITE, "Q.CD1.002", "highest value"),
    Parameter("time_to_peak", "s", code="Q.CD1.010", help="from arrival to the peak"),
    Parameter("wash_in", "{curve}/s", INFINITE, "Q.CD1.011", "mean slope from arrival to peak"),
    Parameter("wash_out", "{curve}/s", INFINITE, "Q.CD1.012", "mean fall from peak to end"),
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
    """Solver of many curves at once: no more than sums over their frames."""
    from igdd.kernels.semi_quantitative import figures, plan, variances

    frames = protocol.frames
    if protocol.held:
        name = next(iter(protocol.held))
        raise InputError(f"{name} is held, but nothing is fitted; leave it out")
    arrival = _arrival(protocol)
    window = (frames.start, frames.end, protocol.integration != "exact")

    def solve(curves: np.ndarray, sd: np.ndarray | None = None) -> Solution:
        curves = np.asarray(curves, dtype=float)
        whole = np.isfinite(curves).all(axis=1)
        found = plan(window, curves, arrival)
        linear = figures(found, np.where(whole[:, None], curves, np.nan))
        parameters = np.insert(linear, TIME, np.where(whole, found.rise, np.nan), axis=1)
        covariance = np.full((len(curves), len(PARAMETERS), len(PARAMETERS)), np.nan)
        if sd is not None:
            spread = variances(found, np.broadcast_to(np.asarray(sd) ** 2, curves.shape))
            own = np.insert(spread, TIME, np.nan, axis=1)
            covariance[:, np.arange(len(PARAMETERS)), np.arange(len(PARAMETERS))] = own
        lost = ~np.isfinite(parameters).all(axis=1)
        return Solution(
            parameters=parameters,
            covariance=covariance,
            status=np.where(~whole, Status.NOT_FITTED, np.where(lost, Status.INCOMPLETE, 0)),
            predicted=np.where(whole[:, None], curves, np.nan),
            notes={"arrival": arrival},
        )

    return solve


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
    ),
)
