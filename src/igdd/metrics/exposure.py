"""Exposure: how much of it a region sees, and for how long, over all sessions of a subject.

Non-compartmental analysis (`igdd.kernels.exposure`) of a region's uptake at its measured times. A
region of blood is taken as after a bolus (carried back to time zero by its first two values), any
other as filling from 0 at administration. Uptake stands corrected for decay to administration, so
areas and half-lives are biological; absorbed dose takes the decay in (`absorbed_dose`).

Uncertainty, first order: with g the slope of a parameter on each point, s a point's own standard
deviation and b the part that all sessions share (dose, calibration),

    var = sum (g s)^2 + (sum g b)^2        s^2 = sd^2 - b^2

so a common factor moves an area but no half-life, and no ratio of two areas. Intervals of what
divides by a slope, and of ratios, are those of the logarithm (`_intervals`); Fieller's where the
reference's area has a coefficient of variation above 15 % (`igdd.kernels.tissue_ratio`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels.exposure import RULES, Rule, noncompartmental
from igdd.kernels.profiles import ROUTES, Route
from igdd.kernels.sparse_means import Sparse
from igdd.kernels.tissue_ratio import correlated_ratio
from igdd.metrics._intervals import log_interval, percent_interval
from igdd.metrics._nca_flags import flags_of
from igdd.results import Course, Track, Value
from igdd.uncertainty import Estimate, ratio

HOUR = 3600.0
STEP = 1e-5  # of a value: far above rounding, far below its noise
# Metric -> CDISC code and unit; "of" stands for the unit of the uptake.
GIVES = {
    "auc_last": ("AUCLST", "of.h"),
    "auc_inf": ("AUCIFO", "of.h"),
    "auc_beyond": ("AUCPEO", "%"),
    "peak": ("CMAX", "of"),
    "time_of_peak": ("TMAX", "h"),
    "half_life": ("LAMZHL", "h"),
    "residence_time": ("MRTIFO", "h"),
}
AREAS = ("auc_last", "auc_inf")
OVER_A_SLOPE = ("auc_inf", "half_life", "residence_time")


def exposure(
    course: Course,
    of: str,
    route: Route | None = None,
    rule: Rule = "linear-up-log-down",
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value]:
    """Area under a region's uptake, its peak, terminal half-life and mean residence time.

    Times in h, areas in the uptake's unit times h; what cannot be had is NaN with its flag.
    """
    for track in course.tracks(of, regions):
        profile = _profile(course, track, route, rule)
        if profile is None:
            continue
        for name, (code, unit) in GIVES.items():
            estimate = _propagated(profile, code)
            yield Value(
                region=track.region,
                metric=f"{name}_{of}",
                estimate=estimate,
                interval=_interval(name, estimate),
                unit=unit.replace("of", track.unit),
                time=float(profile.time[-1]) * HOUR,
                analyte=track.analyte,
                flags=(*profile.flags[code],),
                method=f"{rule} trapezoid, {profile.route}, {profile.time.size} sessions",
            )


def exposure_ratio(
    course: Course,
    of: str,
    reference: str,
    route: Route | None = None,
    rule: Rule = "linear-up-log-down",
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value]:
    """A region's area under its uptake over that of a reference region: Kp where that is blood.

    To the last session, and to infinity. Both are of the same subject: what they share drops out.
    """
    every = course.tracks(of)
    below = {track.analyte: track for track in every if track.region == reference}
    if not below:
        raise StudyError(
            f"measure.reference: subject {course.subject.id} has no region {reference!r}; expected "
            f"one of {', '.join(sorted({track.region for track in every}))}"
        )
    for track in course.tracks(of, regions):
        if track.region == reference or track.analyte not in below:
            continue
        pair = [_profile(course, one, route, rule) for one in (track, below[track.analyte])]
        upper, lower = pair
        if upper is None or lower is None:
            continue
        for name in AREAS:
            code = GIVES[name][0]
            above, beneath = (_propagated(one, code) for one in (upper, lower))
            limits, unbounded = _ratio_interval(above, beneath)
            yield Value(
                region=track.region,
                metric=f"{name}_{of}_to_{reference}",
                estimate=ratio(above, beneath),
                interval=limits,
                unit="1",
                time=float(upper.time[-1]) * HOUR,
                analyte=track.analyte,
                flags=tuple(sorted({*upper.flags[code], *lower.flags[code], *unbounded})),
                method=f"{rule} trapezoid; area over area",
            )


def _interval(name: str, estimate: Estimate) -> tuple[float, float] | None:
    """Limits of a parameter where they are not those of the value itself."""
    if name in OVER_A_SLOPE:
        return log_interval(estimate)
    return percent_interval(estimate) if name == "auc_beyond" else None


def _ratio_interval(
    upper: Estimate, lower: Estimate
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Limits of a ratio of areas of one subject, and the flag where it has none."""
    if not (upper.value > 0 and lower.value > 0 and np.isfinite(upper.sd + lower.sd)):
        return None, ()
    above, beneath = (
        Sparse(np.array(one.value), np.array(one.sd_random), np.array(np.inf))
        for one in (upper, lower)
    )
    found = correlated_ratio(above, beneath, np.array(0.0))  # what both share has dropped out
    unbounded = () if np.isfinite(found.high) else ("interval_unbounded",)
    return (float(found.low), float(found.high)), unbounded


class _Profile(NamedTuple):
    """A track as a profile in h, with every parameter at its values and at each value's step."""

    route: Route
    time: np.ndarray
    sd: np.ndarray
    sd_shared: np.ndarray
    steps: np.ndarray
    parameters: dict[str, np.ndarray]
    flags: dict[str, list[str]]


def _profile(course: Course, track: Track, route: Route | None, rule: Rule) -> _Profile | None:
    """The profile of a track, or None where nothing of it is a number."""
    known = np.isfinite(track.value)
    time, value = track.time[known] / HOUR, track.value[known]
    if not time.size:
        return None
    if not (np.diff(time) > 0).all():
        twice = float(time[:-1][np.diff(time) <= 0][0])
        raise StudyError(
            f"subject {course.subject.id}: {track.metric} of {track.region} stands twice at "
            f"{twice:g} h; expected one value at a time; exclude one of the sessions"
        )
    if route is None:
        route = "bolus" if course.kinds.get(track.region) == "blood" else "extravascular"
    if route == "infusion":
        raise StudyError("measure.route: an infusion's length is not known here; expected bolus")
    steps = STEP * np.where(value == 0, 1.0, np.abs(value))
    moved = np.concatenate([value[None], value + np.diag(steps), value - np.diag(steps)])
    found = noncompartmental(time, moved, route=route, rule=rule)._asdict()
    first = {code: float(column[0]) for code, column in found.items()}
    flags = flags_of(first, first, (time, value, value > 0), route, 1.0)
    own = {flag for point in track.flags for flag in point}
    return _Profile(
        route=route,
        time=time,
        sd=track.sd[known],
        sd_shared=track.sd_shared[known],
        steps=steps,
        parameters=found,
        flags={code: sorted({*some, *own}) for code, some in flags.items()},
    )


def _propagated(profile: _Profile, code: str) -> Estimate:
    """A parameter from its value, and its values at each point's step up and down."""
    values = profile.parameters[code]
    if code == "TMAX":  # one of the times that were measured: it has no slope
        return Estimate(value=float(values[0]))
    changes = _changes(profile, values)
    # In steps, so that squares stay within the range of numbers whatever the unit.
    spread, common = profile.sd / profile.steps, profile.sd_shared / profile.steps
    own = np.sum(changes**2 * np.maximum(spread**2 - common**2, 0.0))
    shared = abs(float(changes @ common))
    sd = float(np.sqrt(own + shared**2))
    return Estimate(
        value=float(values[0]),
        sd=sd if sd > 0 else float("nan"),
        sd_shared=shared if np.isfinite(shared) else 0.0,
    )


def _changes(profile: _Profile, values: np.ndarray) -> np.ndarray:
    """Change of a parameter for a step of each point; on the side that keeps its terminal window.

    A step may tip the choice between two windows: that jump is no slope.
    """
    count = profile.steps.size
    up, down = values[1 : count + 1] - values[0], values[0] - values[count + 1 :]
    points = profile.parameters["LAMZNPT"]
    kept = (points == points[0]) | ~np.isfinite(points[0])
    above, below = kept[1 : count + 1], kept[count + 1 :]
    one_sided = np.where(above, up, down)
    return np.asarray(np.where(above == below, (up + down) / 2, one_sided))


_OF = Option("of", "metric", help="the metric whose course is taken, such as percent_id_per_g")
_HOW = (
    Option("route", "text", default=None, choices=ROUTES[:2],
           help="how a region fills; absent: blood by bolus, others from zero"),
    Option("rule", "text", default="linear-up-log-down", choices=RULES, help="trapezoidal rule"),
    Option("regions", "regions", default=None, help="by kind or name; otherwise all"),
)  # fmt: skip

METRICS = (
    Metric(
        "exposure",
        exposure,
        level="subject",
        options=(_OF, *_HOW),
        gives=tuple((f"{name}_{{of}}", unit) for name, (_, unit) in GIVES.items()),
        question="Q2",
        reference="Gabrielsson and Weiner, Methods Mol. Biol. 929 (2012) 377",
    ),
    Metric(
        "exposure_ratio",
        exposure_ratio,
        level="subject",
        options=(_OF, Option("reference", "region", help="such as blood or muscle"), *_HOW),
        gives=tuple((f"{name}_{{of}}_to_{{reference}}", "1") for name in AREAS),
        question="Q2",
        reference="Gabrielsson and Weiner, Methods Mol. Biol. 929 (2012) 377",
    ),
)
