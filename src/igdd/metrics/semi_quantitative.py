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

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels.semi_quantitative import HORIZONS, frame_weights
from igdd.metrics.uptake import TWIN, twins
from igdd.results import Value
from igdd.types import Curves, Session
from igdd.uncertainty import Estimate

UNITS = {
    **{f"iauc_{horizon:g}": "Bq/mL.s" for horizon in HORIZONS},
    "peak": "Bq/mL",
    "time_to_peak": "s",
    "wash_in": "Bq/mL/s",
    "wash_out": "Bq/mL/s",
}


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
    frames, count = curves.frames, curves.frames.start.size
    one = np.eye(count)
    before = frames.end <= arrival
    # A concentration is 0 before the agent comes, where no frame shows it.
    baseline = before / before.sum() if before.any() else np.zeros(count)

    def value(metric: str, weights: np.ndarray, unit: str, time: float) -> Value:
        return Value(
            region=curves.names[region],
            metric=metric + suffix,
            estimate=_weighted(curves, region, weights),
            unit=unit,
            time=float(time),
            analyte=curves.analyte,
            flags=curves.flags[region],
            method=f"no model, bolus arriving at {arrival:g} s",
        )

    for horizon in HORIZONS:
        weights = frame_weights(frames.start, frames.end, arrival, arrival + horizon)
        if np.isfinite(weights).all():
            area = weights - horizon * baseline
            yield value(f"iauc_{horizon:g}", area, f"{curves.unit}.s", arrival + horizon)
    after = np.flatnonzero(~before)
    highest = int(after[np.argmax(curves.values[region, after])])
    peak, last = frames.middle[highest], frames.middle[-1]
    yield value("peak", one[highest], curves.unit, peak)
    if peak > arrival:
        rise = peak - arrival
        per_second = f"{curves.unit}/s"
        yield value("wash_in", (one[highest] - baseline) / rise, per_second, peak)
        yield Value(
            region=curves.names[region],
            metric="time_to_peak" + suffix,
            estimate=Estimate(value=float(rise)),
            unit="s",
            time=float(peak),
            analyte=curves.analyte,
            flags=curves.flags[region],
            method=f"middle of the highest frame, bolus arriving at {arrival:g} s",
        )
    if last > peak:
        fall = (one[highest] - one[-1]) / (last - peak)
        yield value("wash_out", fall, f"{curves.unit}/s", last)


def _weighted(curves: Curves, region: int, weights: np.ndarray) -> Estimate:
    """Weighted sum over frames: noise of its own in each, borders and calibration in common."""
    value = float(weights @ curves.values[region])
    noise = np.nan_to_num(curves.covariance[:, region, region], nan=0.0)
    variance = float(weights**2 @ noise)
    if curves.modes is not None:
        variance += float(np.sum((curves.modes.values[:, region] @ weights) ** 2))
    shared = abs(value) * curves.scale_cv
    return Estimate(value=value, sd=float(np.hypot(np.sqrt(variance), shared)), sd_shared=shared)


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
