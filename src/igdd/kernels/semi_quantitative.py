"""What a contrast curve shows without a model: initial area, peak, time to it, wash-in, wash-out.

With arrival BAT of the bolus and the baseline f0, the mean before it (CAPLEX Q.CD1.002 and .010 to
.013),

    IAUC_T   = int from BAT to BAT + T of f - f0        T = 60, 90, 120 s
    peak     = highest value after BAT
    TTP      = time of the peak - BAT
    wash-in  = (peak - f0) / TTP
    wash-out = (peak - last) / (time of last - time of peak), positive where the curve falls,
               the other way round than CAPLEX has it

Frames are means over their length, so that areas are sums of mean times length; samples at instants
are joined by straight lines. The arrival is given, never found: where a tissue's curve leaves its
baseline is uncertain by seconds, and every figure counts from there. The highest of noisy values is
too high on average. None of these is comparable between scans that differ in dose, injection,
haematocrit or, on signal instead of concentration, sequence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError

HORIZONS = (60.0, 90.0, 120.0)
# Figures in the order of `figures`; the first three are areas.
LINEAR = ("iauc_60", "iauc_90", "iauc_120", "peak", "wash_in", "wash_out")
# Time in s that may lack between frames that follow one another.
COVERED = 1e-3


class Plan(NamedTuple):
    """How figures follow from curves over t frames or samples, once their peaks are known.

    area      (3, t) weights in s of the initial areas, less the baseline; NaN where they are not
              covered
    baseline  (t,) weights of the baseline
    highest   (n,) frame of each curve's peak
    rise      (n,) s from arrival to peak; fall (n,) from peak to the last frame; NaN where not > 0
    """

    area: np.ndarray
    baseline: np.ndarray
    highest: np.ndarray
    rise: np.ndarray
    fall: np.ndarray


def plan(window: tuple[np.ndarray, np.ndarray, bool], values: np.ndarray, arrival: float) -> Plan:
    """How the figures of curves (n, t) follow from their values, the bolus arriving at `arrival`.

    window  starts and ends (t,) of the frames in s, and whether values are of their middles

    Without a frame before arrival the baseline is 0, as that of a concentration is. The peak of a
    curve that lacks a value has no meaning.
    """
    start, end, instants = window
    middle = (start + end) / 2
    before = middle < arrival if instants else end <= arrival
    if before.all() or not np.isfinite(arrival):
        raise InputError(
            f"the bolus arrives at {arrival:g} s, but the curve's last frame is at "
            f"{middle[-1]:g} s; give the arrival on the curve's own clock"
        )
    baseline = before / max(int(before.sum()), 1)
    area = np.stack(
        [
            area_weights(middle, arrival, arrival + horizon)
            if instants
            else frame_weights(start, end, arrival, arrival + horizon)
            for horizon in HORIZONS
        ]
    )
    after = np.flatnonzero(~before)
    highest = after[np.argmax(values[:, after], axis=1)]
    rise, fall = middle[highest] - arrival, middle[-1] - middle[highest]
    return Plan(
        area=area - np.array(HORIZONS)[:, None] * baseline,
        baseline=baseline,
        highest=highest,
        rise=np.where(rise > 0, rise, np.nan),
        fall=np.where(fall > 0, fall, np.nan),
    )


def figures(found: Plan, values: np.ndarray) -> np.ndarray:
    """Figures (n, 6) of curves (n, t), in their unit, times or over s; NaN where there is none.

    They are linear in the values: a systematic part of a curve goes through the same plan.

    >>> start = np.arange(0.0, 200.0, 10.0)
    >>> curve = np.full((1, 20), 2.0)
    >>> figures(plan((start, start + 10, False), curve, 0.0), curve)[0, :3].tolist()
    [120.0, 180.0, 240.0]
    """
    peak = values[np.arange(len(values)), found.highest]
    wash_in = (peak - values @ found.baseline) / found.rise
    return np.column_stack(
        [values @ found.area.T, peak, wash_in, (peak - values[:, -1]) / found.fall]
    )


def variances(found: Plan, variance: np.ndarray) -> np.ndarray:
    """Variances (n, 6) of the figures from those of independent frames, (n, t) or (1, t) of all."""
    count = found.highest.size
    each = np.broadcast_to(variance, (count, variance.shape[1]))
    peak, last = each[np.arange(count), found.highest], each[:, -1]
    sums = np.broadcast_to(variance @ (found.area**2).T, (count, len(HORIZONS)))
    wash_in = (peak + variance @ found.baseline**2) / found.rise**2
    return np.column_stack([sums, peak, wash_in, (peak + last) / found.fall**2])


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
