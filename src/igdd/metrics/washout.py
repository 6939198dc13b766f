"""Washout: how fast a region empties over a subject's sessions, and how long its label is seen.

With ln y = a - k t by least squares over the sessions after the peak (or after `start`), uptake y
corrected for decay to administration, and T the label's half-life:

    biological half-life  Tb = ln 2 / k
    effective half-life   Te = Tb T / (Tb + T)
    at zero               exp(a), what the line carried back says was there at administration

Intervals are those of the logarithm. Two sessions give a line, not a proof of it. Whoever images
late sees little activity: where less than 1 % of it is left at the last session used, the rows say
so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from igdd.declare import Metric, Option
from igdd.metrics._intervals import log_interval
from igdd.results import Course, Track, Value
from igdd.uncertainty import Estimate

HOUR = 3600.0
LEAST_LEFT = 0.01  # of the activity: below it, background and counting statistics rule


def washout(
    course: Course, of: str, start: float = 0.0, regions: Mapping[str, Any] | None = None
) -> Iterator[Value]:
    """Biological and effective half-life (h) of each region, and the line's value at zero.

    start  first time used, s after administration; points before the peak are never used
    """
    half_life = course.agent.label_half_life
    for track in course.tracks(of, regions):
        used = _falling(track, start)
        if used.sum() < 2:
            few = ("terminal_points_few", *_left_out(track, used))
            yield from _values(track, [np.nan] * 3, [np.nan] * 3, few, "")
            continue
        yield from _of_track(track, used, half_life, course.agent.nuclide)


def _falling(track: Track, start: float) -> np.ndarray:
    """Points of the line: from the peak on, not before `start`, above zero."""
    usable = np.isfinite(track.value) & (track.value > 0) & (track.time >= start)
    peak = track.time[np.argmax(np.where(usable, track.value, -np.inf))]
    return np.asarray(usable & (track.time >= peak))


def _left_out(track: Track, used: np.ndarray) -> tuple[str, ...]:
    """The flag of a line without its points at or below zero, which have no logarithm."""
    after = track.time >= (track.time[used][0] if used.any() else 0.0)
    return ("estimate_not_positive",) if (after & (track.value <= 0)).any() else ()


def _of_track(track: Track, used: np.ndarray, half_life: float, nuclide: str) -> Iterator[Value]:
    time, value = track.time[used] / HOUR, track.value[used]
    own = np.sqrt(np.maximum(track.sd[used] ** 2 - track.sd_shared[used] ** 2, 0.0)) / value
    design = np.stack([np.ones_like(time), -time], axis=1)
    line = np.linalg.pinv(design)
    level, rate = line @ np.log(value)
    level_sd, rate_sd = np.sqrt(line**2 @ own**2)
    # A common factor lifts the line and leaves its slope.
    level_sd = np.hypot(level_sd, float(np.mean(track.sd_shared[used] / value)))
    flags = {flag for n in np.flatnonzero(used) for flag in track.flags[n]}
    flags |= set(_left_out(track, used))
    physical = half_life / HOUR
    method = f"log-linear over {time.size} sessions, {time[0]:g} to {time[-1]:g} h"
    left = float(0.5 ** (time[-1] / physical))
    if left < LEAST_LEFT:
        flags.add("little_activity_left")
        method += f"; {100 * left:.3g} % of the {nuclide} activity is left at {time[-1]:g} h"
    if time.size == 2:
        flags.add("terminal_points_few")
    if not rate > 0:
        yield from _values(track, [np.nan] * 3, [np.nan] * 3, (*flags, "rising_tail"), method)
        return
    biological = np.log(2) / rate
    effective = biological * physical / (biological + physical)
    spread = biological * rate_sd / rate
    yield from _values(
        track,
        [biological, effective, np.exp(level)],
        [spread, spread * (effective / biological) ** 2, np.exp(level) * level_sd],
        tuple(sorted(flags)),
        method,
    )


def _values(
    track: Track, values: list[Any], sds: list[Any], flags: tuple[str, ...], method: str
) -> Iterator[Value]:
    names = ("biological_half_life", "effective_half_life", f"washout_at_zero_{track.metric}")
    for name, unit, value, sd in zip(names, ("h", "h", track.unit), values, sds, strict=True):
        estimate = Estimate(value=float(value), sd=float(sd) if sd > 0 else float("nan"))
        yield Value(
            region=track.region,
            metric=name,
            estimate=estimate,
            interval=log_interval(estimate),
            unit=unit,
            time=float(track.time[-1]),
            analyte=track.analyte,
            flags=flags,
            method=method,
        )


METRICS = (
    Metric(
        "washout",
        washout,
        level="subject",
        options=(
            Option("of", "metric", default="percent_id", help="the metric whose course is taken"),
            Option("start", "s", default=0.0, help="first time used, after administration"),
            Option("regions", "regions", default=None, help="by kind or name; otherwise all"),
        ),
        gives=(
            ("biological_half_life", "h"),
            ("effective_half_life", "h"),
            ("washout_at_zero_{of}", "of"),
        ),
        question="Q2",
        reference="MIRD Pamphlet 21: effective and biological half-life",
    ),
)
