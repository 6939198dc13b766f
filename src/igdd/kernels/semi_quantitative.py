"""What a contrast curve shows without a model: initial area, time to peak, wash-in, wash-out.

With arrival BAT of the bolus and the baseline f0 before it (CAPLEX Q.CD1.010 to .013),

    IAUC_T   = int from BAT to BAT + T of f - f0        T = 60, 90, 120 s
    TTP      = time of the highest value - BAT
    wash-in  = (highest - f0) / TTP
    wash-out = (highest - last) / (time of last - time of highest), positive where the curve falls

The curve is straight between its samples. None of these is comparable between scans that differ in
dose, injection, haematocrit or, on signal instead of concentration, sequence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError

HORIZONS = (60.0, 90.0, 120.0)
# Time in s that may lack between frames that follow one another.
COVERED = 1e-3


class SemiQuantitative(NamedTuple):
    """Figures of each curve; NaN where a curve has none.

    baseline, peak  (n,) in the curves' unit
    area            (n, horizons) initial areas, in that unit times s; NaN where the scan ends first
    time_to_peak    (n,) in s after arrival
    wash_in         (n,) in that unit per s; wash_out likewise
    """

    baseline: np.ndarray
    peak: np.ndarray
    area: np.ndarray
    time_to_peak: np.ndarray
    wash_in: np.ndarray
    wash_out: np.ndarray


def semi_quantitative(
    time: np.ndarray,
    values: np.ndarray,
    arrival: float,
    horizons: tuple[float, ...] = HORIZONS,
) -> SemiQuantitative:
    """Figures of curves (n, t) sampled at ascending times (t,), bolus arriving at `arrival` [s].

    The baseline is the mean of the samples before arrival; where there is none it is 0, as for a
    concentration. A curve with a value missing has no figures.

    >>> found = semi_quantitative(np.arange(0.0, 200.0, 10), np.full((1, 20), 2.0), 0.0)
    >>> found.area.tolist()
    [[120.0, 180.0, 240.0]]
    """
    if not (np.diff(time) > 0).all() or time.size < 2:
        raise InputError(
            f"{time.size} sample times, not all ascending; expected two or more that ascend"
        )
    if not time[0] <= arrival < time[-1]:
        raise InputError(
            f"the bolus arrives at {arrival:g} s, outside the curve's {time[0]:g} to "
            f"{time[-1]:g} s; give the arrival on the curve's own clock"
        )
    before = time < arrival
    baseline = values[:, before].mean(axis=1) if before.any() else np.zeros(values.shape[0])
    area = np.column_stack(
        [
            values @ area_weights(time, arrival, arrival + horizon) - baseline * horizon
            for horizon in horizons
        ]
    )
    after = np.flatnonzero(~before)
    complete = np.isfinite(values).all(axis=1)
    highest = after[np.argmax(np.where(complete[:, None], values[:, after], 0.0), axis=1)]
    peak = values[np.arange(values.shape[0]), highest]
    rise, fall = time[highest] - arrival, time[-1] - time[highest]
    known = np.where(complete, 1.0, np.nan)
    return SemiQuantitative(
        baseline=baseline * known,
        peak=peak * known,
        area=area * known[:, None],
        time_to_peak=rise * known,
        wash_in=_over(peak - baseline, rise) * known,
        wash_out=_over(peak - values[:, -1], fall) * known,
    )


def area_weights(time: np.ndarray, start: float, end: float) -> np.ndarray:
    """Weights (t,) in s of the samples in the integral of the curve from start to end.

    The integral is their product with the values, and its variance that of a weighted sum. All
    NaN where the samples do not reach from start to end.

    >>> area_weights(np.array([0.0, 10.0, 20.0]), 5.0, 20.0).tolist()
    [1.25, 8.75, 5.0]
    """
    if not (time[0] <= start <= end <= time[-1]):
        return np.full(time.size, np.nan)
    low, high = np.clip(time[:-1], start, end), np.clip(time[1:], start, end)
    step = np.diff(time)
    # The straight line over part of a segment: its mean is the value at the part's middle.
    share = ((low + high) / 2 - time[:-1]) / step
    weights = np.zeros(time.size)
    weights[:-1] += (high - low) * (1 - share)
    weights[1:] += (high - low) * share
    return weights


def frame_weights(start: np.ndarray, end: np.ndarray, low: float, high: float) -> np.ndarray:
    """Weights (t,) in s of frame means in the integral from low to high: their part of it.

    All NaN where the frames do not cover it without a gap.

    >>> frame_weights(np.array([0.0, 10.0]), np.array([10.0, 30.0]), 5.0, 20.0).tolist()
    [5.0, 10.0]
    """
    part = np.clip(np.minimum(end, high) - np.maximum(start, low), 0.0, None)
    covered = abs(part.sum() - (high - low)) <= COVERED
    return part if covered else np.full(start.size, np.nan)


def _over(change: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Change per s; NaN where it took no time."""
    never = np.full(change.shape, np.nan)
    return np.asarray(np.divide(change, duration, out=never, where=duration > 0))
