"""Semi-quantitative figures of a region's curve: initial area, peak, time to it, wash-in, wash-out.

They need no input and no model (CAPLEX Q.CD1.002, .010 to .013). With the bolus arriving at BAT:

    iauc_T        area of the first T = 60, 90 and 120 s after BAT, less that of the baseline
    peak          highest value; time_to_peak after BAT
    wash_in       (peak - baseline) / time_to_peak
    wash_out      (peak - last value) / the time between them, positive where the curve falls

Frames are means over their length: areas are sums of mean times length, exact where a horizon is a
frame's end. None of these is comparable between scans of different dose, injection or haematocrit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from igdd import units
from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels.semi_quantitative import HORIZONS, LINEAR, Plan, figures, plan, variances
from igdd.metrics.uptake import TWIN, twins
from igdd.results import Value
from igdd.types import Curves, Session
from igdd.uncertainty import Estimate


def units_of(unit: str) -> dict[str, str]:
    """Units of the figures of curves in a unit.

    >>> units_of("Bq/mL")["iauc_60"], units_of("1/s")["wash_in"]
    ('Bq.s/mL', '1/s/s')
    """
    areas = {f"iauc_{horizon:g}": "{curve}.s" for horizon in HORIZONS}
    marked = areas | {
        "peak": "{curve}", "time_to_peak": "s", "wash_in": "{curve}/s", "wash_out": "{curve}/s",
    }  # fmt: skip
    return {name: units.of_curve(text, unit) for name, text in marked.items()}


UNITS = units_of("Bq/mL")


def semi_quantitative(session: Session, arrival: float | None = None) -> Iterator[Value]:
    """Initial areas, peak, time to peak, wash-in and wash-out of every region.

    What a curve does not show is absent: an area that the scan ends before, the wash-out of a curve
    that still rises.
    """
    for curves, suffix in twins(session):
        at = _arrival(session, curves, arrival)
        for region, kind in enumerate(curves.kinds):
            if kind != "remainder" and np.isfinite(curves.values[region]).all():
                yield from _of_region(curves, region, at, suffix)


def _arrival(session: Session, curves: Curves, arrival: float | None) -> float:
    """When the bolus arrives, in s on the frames' clock: as said, else the administration."""
    where = f"subject {session.subject.id}, session {session.name}"
    if arrival is None:
        if curves.frames.zero.kind != "administration":
            raise StudyError(
                f"{where}: the frames' times count from the scan's start, and nobody says when the "
                "bolus arrived; give measure.arrival, e.g. '30 s'"
            )
        return 0.0
    if not arrival < curves.frames.end[-1]:
        raise StudyError(
            f"{where}: measure.arrival is {arrival:g} s, but the last frame ends at "
            f"{curves.frames.end[-1]:g} s; expected a time within the scan"
        )
    return arrival


def _of_region(curves: Curves, region: int, arrival: float, suffix: str) -> Iterator[Value]:
    frames = curves.frames
    curve = curves.values[region][None]
    found = plan((frames.start, frames.end, frames.sampled), curve, arrival)
    peak = float(frames.middle[found.highest[0]])
    said: dict[str, Any] = {"region": curves.names[region], "analyte": curves.analyte,
            "flags": curves.flags[region]}  # fmt: skip
    printed = units_of(curves.unit)
    method = f"no model, bolus arriving at {arrival:g} s"
    times = (*(arrival + horizon for horizon in HORIZONS), peak, peak, float(frames.middle[-1]))
    for name, time, estimate in zip(LINEAR, times, _estimates(curves, region, found), strict=True):
        if np.isfinite(estimate.value):
            yield Value(
                metric=name + suffix,
                estimate=estimate,
                unit=printed[name],
                time=time,
                method=method,
                **said,
            )
    if np.isfinite(found.rise[0]):
        yield Value(
            metric="time_to_peak" + suffix,
            estimate=Estimate(value=float(found.rise[0])),
            unit="s",
            time=peak,
            method=f"middle of the highest frame, bolus arriving at {arrival:g} s",
            **said,
        )


def _estimates(curves: Curves, region: int, found: Plan) -> list[Estimate]:
    """The figures: noise of its own in each frame, borders and calibration in common."""
    noise = np.nan_to_num(curves.covariance[:, region, region], nan=0.0)
    values = figures(found, curves.values[region][None])[0]
    variance = variances(found, noise[None])[0]
    if curves.modes is not None:
        for mode in curves.modes.values[:, region]:
            variance = variance + figures(found, mode[None])[0] ** 2
    shared = np.abs(values) * curves.scale_cv
    return [
        Estimate(value=float(value), sd=float(np.hypot(np.sqrt(square), common)),
                 sd_shared=float(common))
        for value, square, common in zip(values, variance, shared, strict=True)
    ]  # fmt: skip


METRICS = (
    Metric(
        "semi_quantitative",
        semi_quantitative,
        level="session",
        options=(
            Option(
                "arrival",
                "s",
                default=None,
                help="when the bolus arrives, on the clock of the frames; "
                "absent: at the administration",
            ),
        ),
        gives=(*UNITS.items(), *((name + TWIN, unit) for name, unit in UNITS.items())),
        question="Q2",
        reference="CAPLEX Q.CD1.002, .010 to .013, doi:10.1002/mrm.29840",
    ),
)
